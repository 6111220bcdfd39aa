/*
 * wish - what Postfix shall be told, from the command line and abichecker's
 * own configuration.
 */
#ifndef POSTFIX_WISH_H
#define POSTFIX_WISH_H

#include "config/config.h"
#include "ctl/postfix/plan.h"

/*
 * From the words after `enable', mx, submission or map; without any, the first
 * two. directory: of the instance. EX_OK, or another status, told.
 */
int wish_read(struct plan_wish *wish, const struct config *cfg,
    const char *directory, int argc, char **argv);

/* For `status': all of it. */
void wish_status(struct plan_wish *wish, const struct config *cfg,
    const char *directory);

#endif
