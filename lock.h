/*
 * lock - one byte of a file, locked among processes, with a time limit.
 *
 * OFD locks (fcntl(2)): they belong to the open file, are inherited by
 * children, and waiting processes are served in turn.
 */
#ifndef LOCK_H
#define LOCK_H

#include <stdint.h>

/*
 * Locks a byte, waiting at most wait_ms milliseconds (0: not at all). 0, or
 * -1 with errno, EAGAIN when somebody else still has it.
 */
int lock_byte(int fd, long byte, long wait_ms);

/* Milliseconds that only grow, for time limits. */
int64_t lock_clock_ms(void);

/* Lets it go. Closing the last copy of fd does that too. */
void lock_release(int fd, long byte);

#endif
