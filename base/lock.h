/*
 * lock - locks among processes, with a time limit.
 *
 * OFD locks (fcntl(2)): they belong to the open file and are inherited by
 * children; the kernel releases them when the last copy is closed.
 */
#ifndef LOCK_H
#define LOCK_H

#include <stdint.h>

/*
 * Locks a byte, waiting at most wait_ms milliseconds (0: not at all), until the
 * last copy of fd is closed. 0, or -1 with errno, EAGAIN when somebody else
 * still has it.
 */
int lock_byte(int fd, long byte, long wait_ms);

/*
 * Takes the one lock of a lock file, waiting at most wait_ms milliseconds (0:
 * not at all). Processes that wait are served first come, first served; one
 * that comes while the lock is free may overtake them, until the first in the
 * queue has waited for a quarter of its time. The file holds the queue's
 * numbers: fd must be open for reading and writing. 0, or -1 with errno: EAGAIN
 * if others in the queue had their turns meanwhile, ETIMEDOUT if none had.
 */
int lock_turn(int fd, long wait_ms);

/* Releases it; so does closing fd. */
void lock_turn_end(int fd);

#endif
