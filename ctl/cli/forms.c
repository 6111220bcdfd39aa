/*
 * forms - arguments that several commands take.
 */
#include "ctl/abictl.h"

int
abictl_address_form(struct abictl *ctl, int argc, char **argv)
{
	struct address_block *b = &ctl->block;

	if (argc > 0 && !address_parse(argv[0], &b->base))
		return abictl_fail(EX_DATAERR, "%s: not an address", argv[0]);
	b->bits = argc > 0 ? address_bits(&b->base) : 0;
	return EX_OK;
}

int
abictl_block_form(struct abictl *ctl, int argc, char **argv)
{
	const char *wrong = argc == 0 ? NULL :
	    address_block_parse(argv[0], &ctl->block);

	return wrong == NULL ? EX_OK :
	    abictl_fail(EX_DATAERR, "%s: %s", argv[0], wrong);
}

int
abictl_user_form(struct abictl *ctl, int argc, char **argv)
{
	if (argc == 0)
		return EX_OK;
	store_user(argv[0], ctl->user, sizeof(ctl->user));
	return ctl->user[0] != '\0' ? EX_OK :
	    abictl_fail(EX_USAGE, "USER must not be empty");
}
