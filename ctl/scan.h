/*
 * abictl_scan - what the files of `abictl scan' share.
 */
#ifndef ABICTL_SCAN_H
#define ABICTL_SCAN_H

#include "ctl/abictl.h"
#include "scan/dryrun.h"
#include "scan/scan.h"

/* Who would be listed, and why: a table with lines of the log, or JSON. */
void abictl_scan_print(const struct abictl *ctl, struct dryrun *dry,
    const struct scan_counts *counts);

#endif
