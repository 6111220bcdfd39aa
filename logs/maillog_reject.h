/*
 * maillog_reject - how a line is taken apart that says what was refused; for
 * maillog_reject.c, maillog_object.c and maillog_attributes.c only.
 */
#ifndef MAILLOG_REJECT_H
#define MAILLOG_REJECT_H

#include "logs/maillog_parse.h"

/* What stands after a reply, and where. */
struct maillog_attributes {
	bool whole;     /* they are there, and nothing is cut */
	bool logged_in; /* as Postfix 3.10 says of a client */
	struct maillog_text helo;
	/*
	 * Where " proto=" or ", proto=" is: sender and recipient, if they are
	 * known, end right before it. NULL = nowhere.
	 */
	const char *proto;
};

/*
 * Finds what may be the attributes of a message, from *before to the left, and
 * moves that to where they are; *before is m->end to begin with. False: there
 * is nothing like that, and *a is empty.
 */
bool maillog_attributes(const struct maillog_message *m, const char **before,
    struct maillog_attributes *a);

/*
 * Is what ends at `at', with a '>' before it, the attribute with that name and
 * value? Returns where the name begins, not before p; else NULL.
 */
const char *maillog_attribute_before(const char *p, const char *at,
    const char *name, const struct maillog_text *value);

/* A refusal on its way to being understood. */
struct maillog_refusal {
	const struct maillog_message *m;
	struct maillog_attributes a;
	char status;          /* '4', '5', '\0' = none */
	const char *codes;    /* where they stand */
	const char *text;     /* the reply after its codes */
	const char *text_max; /* where it ends at the latest */
};

/* A place where X may end, and what follows it. */
struct maillog_choice {
	const struct maillog_reply *reply;
	struct maillog_text object; /* X */
	const char *begins;         /* where reply->begins stands */
	const char *to;             /* where "to=<" stands, if X is R */
};

/*
 * Finds what was rejected by a reply that begins with "<". Sets a and text_max
 * of *r, also when nothing fits, to what is likely.
 */
bool maillog_object_find(struct maillog_refusal *r, struct maillog_choice *c);

/* Finds the first "<X>: " with a reply of a rule (-1: any) after it. */
bool maillog_object_first(const struct maillog_refusal *r, int rule,
    struct maillog_choice *found);

/*
 * Of "Sender address [X] blocked using LIST", p after the '[': where LIST
 * begins. NULL = nowhere.
 */
const char *maillog_object_listed(const struct maillog_refusal *r,
    enum maillog_object kind, const char *p);

/*
 * What a client that has logged in is refused is nobody's offence. Before MAIL
 * nobody is believed to be, and in what postscreen logs HELO can say anything.
 */
bool maillog_logged_in(const struct maillog_message *m,
    const struct maillog_attributes *a);

/*
 * 5.1.1 is said of recipients only, that they do not exist, or by a table: if a
 * table says it of something else, Postfix makes another code of it.
 */
bool maillog_says_recipient(const struct maillog_refusal *r);

static inline bool
maillog_is(const struct maillog_text *t, const char *s)
{
	return t->len > 0 && t->len == strlen(s) &&
	    memcmp(t->s, s, t->len) == 0;
}

#endif
