/*
 * store_redis_library - the functions of hiredis that the driver calls.
 */
#ifndef STORE_REDIS_LIBRARY_H
#define STORE_REDIS_LIBRARY_H

#if defined(__has_include) && !__has_include(<hiredis/hiredis.h>)
#include <hiredis.h>
#else
#include <hiredis/hiredis.h>
#endif

#include "store/redis/redis.h"

/* Every function of the library that we call. */
#define FUNCTIONS(F)                                                          \
	F(redisReaderCreateWithFunctions) F(redisReaderFree)                  \
	F(redisReaderFeed) F(redisReaderGetReply)                             \
	F(redisFormatCommandArgv) F(redisFreeCommand)

struct redis_library {
#define POINTER(name) __typeof__(name) *name;
	FUNCTIONS(POINTER)
#undef POINTER
};

extern struct redis_library redis_library; /* redis_load() fills it */

#endif
