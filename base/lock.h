/*
 * lock - locks among processes, with a time limit.
 *
 * OFD locks (fcntl(2)): they belong to the open file and are inherited by
 * children; the kernel lets go of them when the last copy is closed.
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
 * not at all). Who waits is served first come, first served; who comes while it
 * is free may be quicker, but not once the first in the queue has waited for a
 * quarter of its time. The file is read and written for it. 0, or -1 with
 * errno: EAGAIN when others that waited had their turns meanwhile, ETIMEDOUT
 * when nobody had.
 */
int lock_turn(int fd, long wait_ms);

/* Lets it go; so does closing fd. */
void lock_turn_end(int fd);

#endif
