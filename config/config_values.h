/*
 * config_values - what the types of options take as a value.
 *
 * To add a type: its name in config.h, its rule here.
 */
#ifndef CONFIG_VALUES_H
#define CONFIG_VALUES_H

#include "config/config.h"

/*
 * Sets the field of a row from a text, which must stay valid. NULL, or what is
 * wrong with the value; the message is good until the next call.
 */
const char *config_value_set(
    struct config *cfg, const struct config_option *o, const char *v);

/*
 * The same from a text that somebody wrote, which is copied: an empty one means
 * not set. After an error the field is as it was.
 */
const char *config_value_assign(struct config *cfg, int row, const char *v);

#endif
