/*
 * replace - a new file for the place of another one.
 */
#include "base/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/lock.h"

#define TRIES    100
#define ACL      "system.posix_acl_access"
#define NEW_MODE 0644

bool
replace_pending(int dir, const char *name, int fd)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 &&
	    fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

int
replace_open(int dir, const char *name, long wait_ms)
{
	struct stat st;
	int fd, tries, saved = EAGAIN;

	for (tries = 0; tries < TRIES; tries++) {
		fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC |
		    O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
		if (fd < 0 && errno == ELOOP && unlinkat(dir, name, 0) == 0)
			continue; /* a link is nothing of ours */
		if (fd < 0)
			return -1;
		if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
			errno = EINVAL;
		else if (lock_byte(fd, 0, wait_ms) == 0) {
			/* The one before may have renamed or removed it. */
			if (!replace_pending(dir, name, fd)) {
				close(fd);
				continue;
			}
			if (ftruncate(fd, 0) == 0)
				return fd;
		}
		saved = errno;
		close(fd);
		break;
	}
	errno = saved;
	return -1;
}

/* One extended attribute, if the old file has it. */
static int
attribute_copy(int from, int to, const char *name)
{
	char value[4096];
	ssize_t n = fgetxattr(from, name, value, sizeof(value));

	if (n >= 0)
		return fsetxattr(to, name, value, (size_t)n, 0);
	if (errno != ENODATA)
		return errno == ENOTSUP ? 0 : -1;
	/* Neither does it keep one that the directory gives to new files. */
	if (strcmp(name, ACL) == 0 && fremovexattr(to, name) != 0 &&
	    errno != ENODATA)
		return -1;
	return 0;
}

int
replace_dress(int fd, int from_fd, const struct stat *like)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -1;
	if (like != NULL &&
	    (like->st_uid != st.st_uid || like->st_gid != st.st_gid) &&
	    fchown(fd, like->st_uid, like->st_gid) != 0)
		return -1;
	if (fchmod(fd, like != NULL ? like->st_mode & 07777 : NEW_MODE) != 0)
		return -1;
	if (from_fd < 0)
		return 0;
	return attribute_copy(from_fd, fd, ACL) == 0 &&
	    attribute_copy(from_fd, fd, "security.selinux") == 0 ? 0 : -1;
}

bool
replace_safe(const char *directory)
{
	char part[PATH_MAX];
	struct stat st;
	size_t n = 0;

	while (directory[n] != '\0') {
		n += strspn(directory + n, "/");
		n += strcspn(directory + n, "/");
		snprintf(part, sizeof(part), "%.*s", (int)n, directory);
		if (lstat(part, &st) != 0 ||
		    (st.st_uid != 0 && st.st_uid != geteuid()) ||
		    (S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) == 0 &&
			(st.st_mode & (S_IWGRP | S_IWOTH)) != 0))
			return false;
	}
	return stat(directory, &st) == 0 &&
	    (st.st_uid == 0 || st.st_uid == geteuid()) &&
	    (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}
