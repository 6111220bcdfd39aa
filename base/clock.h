/*
 * clock - for time limits.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Milliseconds that only grow, whatever is done to the time of day. */
int64_t clock_ms(void);

#endif
