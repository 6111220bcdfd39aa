/*
 * store_redis_library - the functions of hiredis that the driver calls.
 */
#ifndef STORE_REDIS_LIBRARY_H
#define STORE_REDIS_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_include) && !__has_include(<hiredis/hiredis.h>)
#include <hiredis.h>
#else
#include <hiredis/hiredis.h>
#endif

/* Every function of the library that we call. */
#define FUNCTIONS(F)                                                          \
	F(redisReaderCreate) F(redisReaderFree) F(redisReaderFeed)            \
	F(redisReaderGetReply) F(freeReplyObject)                             \
	F(redisvFormatCommand) F(redisFreeCommand)

struct redis_library {
#define POINTER(name) __typeof__(name) *name;
	FUNCTIONS(POINTER)
#undef POINTER
};

extern struct redis_library redis_library; /* redis_load() fills it */

/* Loads hiredis, once. False: why in error. */
bool redis_load(char *error, size_t size);

#endif
