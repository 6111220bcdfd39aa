# abichecker: both programs are left at the top of the tree.
#
#   make             build                    make check        all tests
#   make SAN=1       with sanitizers          make check SAN=1  the same, sanitized
#   make demo        see it refuse a client   make bench        speed, memory
#   make fuzz        every parser             make torture      long fault runs
#   make lint        formats, warnings        make deps         install what this needs
#   make check-systems  what README.md and docs/ say, on fresh mail servers;
#                       a store on clusters
#   make check-deb   the Debian package, on fresh mail servers
#   make install     DESTDIR, PREFIX, ...     make uninstall    data stays
#   make STATIC=1    a filter without shared libraries; SQLite only
#   make deb         the Debian package

VERSION       = 0.2.0
PREFIX        = /usr/local
SBINDIR       = $(PREFIX)/sbin
MANDIR        = $(PREFIX)/share/man
DOCDIR        = $(PREFIX)/share/doc/abichecker
DATADIR       = $(PREFIX)/share/abichecker
UNITDIR       = $(PREFIX)/lib/systemd/system
BASHDIR       = $(PREFIX)/share/bash-completion/completions
ZSHDIR        = $(PREFIX)/share/zsh/site-functions
FISHDIR       = $(PREFIX)/share/fish/vendor_completions.d
SYSCONFDIR    = /etc
LOCALSTATEDIR = /var
DESTDIR       =
INSTALL_USER  = abichecker

# These count from the environment, too, as packagers set them.
ifeq ($(origin CC),default)
CC = gcc
endif
CFLAGS   ?= -O2 -g
CPPFLAGS ?=
LDFLAGS  ?=
PKG_CONFIG ?= pkg-config
# A warning is an error where we look at it: in tests and in lint.
WERROR   ?= $(if $(filter check units lint,$(MAKECMDGOALS)),1)

# The filter takes from these what it uses; HTTP, JSON and tables are in ctl/ only.
FOLDERS  = base config store store/sql store/sqlite $(SERVERS) filter
CONTROL  = logs scan ctl ctl/cli ctl/import ctl/postfix ctl/selftest
sources  = $(foreach folder,$(1),$(sort $(wildcard $(folder)/*.c)))
FILTER   = $(sort $(wildcard *.c)) $(call sources,$(FOLDERS))
SOURCES  = $(filter-out $(if $(filter 1,$(WITH_JOURNAL)),,logs/journal.c), \
	   $(FILTER) $(call sources,$(CONTROL)))
MAINS    = abichecker.c ctl/abictl.c
HEADERS  = $(wildcard *.h) $(foreach folder,$(FOLDERS) $(CONTROL),$(wildcard $(folder)/*.h))
UNITS    = $(filter-out $(foreach kind,pgsql mysql redis,$(if $(filter store/$(kind),$(SERVERS)),,unit_store_$(kind)%)), \
	   $(basename $(notdir $(wildcard tests/unit/unit_*.c))))
FUZZERS  = $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c)))

# A filter that needs no library at run time starts sooner and takes less
# memory. It cannot load a database's client, so there is SQLite alone. That the
# linker tells of getpwnam() and others is right: names of users come from files
# or from the same release of libc.
ifeq ($(STATIC),1)
WITH_PGSQL = 0
WITH_MYSQL = 0
WITH_REDIS = 0
DEFINES_STATIC = -DSTATIC
STATIC_LD  = -static-pie
endif

# Stores on a server: in when their headers are there; `make WITH_PGSQL=0` and so
# on leaves one out. They are loaded when a URL asks for them, never linked.
found      = $(shell for p in $(1); do $(PKG_CONFIG) --exists $$p && { echo $$p; break; }; done)
PGSQL_PC  := $(call found,libpq)
MYSQL_PC  := $(call found,libmariadb mariadb)
REDIS_PC  := $(call found,hiredis)
TLS_PC    := $(call found,openssl)
WITH_PGSQL ?= $(if $(PGSQL_PC),1,0)
WITH_MYSQL ?= $(if $(MYSQL_PC),1,0)
WITH_REDIS ?= $(if $(and $(REDIS_PC),$(TLS_PC)),1,0)
SERVERS    = $(if $(filter 1,$(WITH_PGSQL)),store/pgsql) $(if $(filter 1,$(WITH_MYSQL)),store/mysql) \
	     $(if $(filter 1,$(WITH_REDIS)),store/redis)
# The journal in the same way, by libsystemd: WITH_JOURNAL=0 leaves it out.
JOURNAL_PC  := $(call found,libsystemd)
WITH_JOURNAL = $(if $(JOURNAL_PC),1,0)
# Other people's headers need not meet our warnings.
cflags_of  = $(patsubst -I%,-isystem %,$(if $(1),$(shell $(PKG_CONFIG) --cflags $(1))))
PGSQL_CFLAGS := $(call cflags_of,$(PGSQL_PC))
MYSQL_CFLAGS := $(call cflags_of,$(MYSQL_PC))
REDIS_CFLAGS := $(call cflags_of,$(REDIS_PC)) $(call cflags_of,$(TLS_PC))
JOURNAL_CFLAGS := $(call cflags_of,$(JOURNAL_PC))

WARNINGS = -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes \
	   -Wmissing-prototypes -Wvla -Wformat=2 -Wundef -Wwrite-strings
supports = $(shell $(CC) -Werror $(1) -E -x c /dev/null >/dev/null 2>&1 && echo $(1))
FORTIFY  = $(if $(or $(filter -O0,$(CFLAGS)),$(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS))),, \
	   -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
CC_HARDEN := $(call supports,-fstack-clash-protection) \
	    $(call supports,-fcf-protection=full)
HARDEN   = $(FORTIFY) -fstack-protector-strong -fPIE \
	   $(CC_HARDEN)
HARDEN_LD = -pie -Wl,-z,relro,-z,now,-z,noexecstack
DEFINES  = -D_GNU_SOURCE -DVERSION='"$(VERSION)"' \
	   -DSYSCONFDIR='"$(SYSCONFDIR)"' -DLOCALSTATEDIR='"$(LOCALSTATEDIR)"' \
	   $(if $(filter store/pgsql,$(SERVERS)),-DWITH_PGSQL) \
	   $(if $(filter store/mysql,$(SERVERS)),-DWITH_MYSQL) \
	   $(if $(filter store/redis,$(SERVERS)),-DWITH_REDIS) \
	   $(DEFINES_STATIC) \
	   $(if $(filter 1,$(WITH_JOURNAL)),-DWITH_JOURNAL)
# What only some requests need is loaded by them (base/library.h).
LIBS       = -lmd -lcdb -lm -ldl
LOADED     = -lsqlite3 -lmaxminddb -lcares
FILTER_LIBS = $(if $(filter 1,$(STATIC)),$(LOADED)) $(LIBS)
CURL_CFLAGS := $(shell $(PKG_CONFIG) --cflags libcurl libcjson smartcols zlib)
CURL_LIBS   := $(shell $(PKG_CONFIG) --libs libcurl libcjson smartcols zlib)

ifeq ($(SAN),1)
BUILD    = build-san
HARDEN   = -fPIE -fno-omit-frame-pointer -fsanitize=address,undefined \
	   -fno-sanitize-recover=all
HARDEN_LD = -pie -fsanitize=address,undefined
DEFINES += -DSAN_REPORTS='"$(CURDIR)/$(BUILD)/reports/report"'
SAN_OBJECT = $(BUILD)/tests/san_options.o
else
BUILD    = build
endif

# The sanitized programs stay in their directory, the others at the top.
BIN      = $(if $(filter 1,$(SAN)),$(BUILD)/,)
# Of the directory in which it was built a program says nothing.
ALL_CFLAGS = -std=c11 -I. -I$(BUILD)/gen -ffile-prefix-map=$(CURDIR)=. $(WARNINGS) $(HARDEN) $(DEFINES) $(CPPFLAGS) $(CFLAGS)
obj      = $(addprefix $(BUILD)/,$(1:.c=.o))
parts    = $(filter-out $(MAINS),$(1))

# `make V=1` shows the whole commands.
ifneq ($(V),1)
QUIET_CC = @echo '  CC  ' $<;
QUIET_LD = @echo '  LD  ' $@;
endif

# How shells complete the commands of abictl, from its own table.
COMPLETIONS = $(addprefix $(BUILD)/completion/,bash zsh fish)

all: $(BIN)abichecker $(BIN)abictl $(COMPLETIONS)

$(BUILD)/completion/%: $(BIN)abictl
	@mkdir -p $(@D)
	@./$(BIN)abictl completion $* > $@.new && mv $@.new $@

# Of an archive only that is linked which is used.
LINK = $(CC) $(CFLAGS) $(HARDEN_LD) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^)
LINK_FLAGS = $(CC) $(CFLAGS) $(HARDEN_LD) $(LDFLAGS) $(STATIC_LD)

$(BIN)abichecker: $(BUILD)/abichecker.o $(SAN_OBJECT) $(BUILD)/filter.a
	$(QUIET_LD)$(LINK) $(STATIC_LD) $(FILTER_LIBS)

$(BIN)abictl: $(BUILD)/ctl/abictl.o $(SAN_OBJECT) $(BUILD)/all.a
	$(QUIET_LD)$(LINK) $(CURL_LIBS) $(FILTER_LIBS)

$(BUILD)/filter.a: $(call obj,$(call parts,$(FILTER)))
$(BUILD)/all.a: $(call obj,$(call parts,$(SOURCES)))
$(BUILD)/%.a: $(BUILD)/parts
	@rm -f $@
	$(QUIET_LD)$(AR) rcs $@ $(filter %.o,$^)

# What is made with other options, or of other files, is made again.
remember = echo '$(subst ','\'',$(1))' | cmp -s - $@ || echo '$(subst ','\'',$(1))' > $@

$(BUILD)/flags: FORCE
	@mkdir -p $(BUILD)
	@$(call remember,$(CC) $(ALL_CFLAGS))

$(BUILD)/parts: FORCE
	@mkdir -p $(BUILD)
	@$(call remember,$(LINK_FLAGS) $(SOURCES))

$(BUILD)/ctl/%.o: private ALL_CFLAGS += $(CURL_CFLAGS)
$(BUILD)/store/pgsql/%.o $(BUILD)/tests/unit/unit_store_pgsql%o: private ALL_CFLAGS += $(PGSQL_CFLAGS)
$(BUILD)/store/mysql/%.o $(BUILD)/tests/unit/unit_store_mysql%o: private ALL_CFLAGS += $(MYSQL_CFLAGS)
$(BUILD)/store/redis/%.o $(BUILD)/tests/unit/unit_store_redis%o: private ALL_CFLAGS += $(REDIS_CFLAGS)
$(BUILD)/logs/journal.o: private ALL_CFLAGS += $(JOURNAL_CFLAGS)

# Statements and scripts for servers, to be included as NAME.sql.h and NAME.lua.h:
# the macros NAME_SQL() and NAME_LUA.
GENERATED = $(patsubst %,$(BUILD)/gen/%.h,$(wildcard store/*/*.sql store/*/*.lua))

$(BUILD)/gen/%.h: % store/sql/texts.awk
	@mkdir -p $(@D)
	@awk -f store/sql/texts.awk $< > $@

# Each object's headers are noted beside it.
$(BUILD)/%.o: %.c $(BUILD)/flags | $(GENERATED)
	@mkdir -p $(@D)
	$(QUIET_CC)$(CC) $(ALL_CFLAGS) $(if $(filter 1,$(WERROR)),-Werror) -MMD -MP -c -o $@ $<

-include $(patsubst %.o,%.d,$(call obj,$(SOURCES) $(wildcard tests/unit/*.c)))

# Unit tests: one program for each tests/unit/unit_*.c.
$(BUILD)/unit_%: $(BUILD)/tests/unit/unit_%.o $(SAN_OBJECT) $(BUILD)/all.a
	$(QUIET_LD)$(LINK) -lcmocka $(CURL_LIBS) $(LOADED) $(LIBS)

# Built on the way, and of use afterwards.
units: $(addprefix $(BUILD)/,$(UNITS))

check: all units
	@mkdir -p -m 1777 $(BUILD)/reports
	@ABICHECKER_BUILD='$(CURDIR)/$(BIN)' SAN=$(SAN) \
	 tests/run $(addprefix $(BUILD)/,$(UNITS))

# README.md and docs/ on fresh mail servers of these releases of Debian, and
# clusters of database servers; as root.
SYSTEMS = bookworm trixie clusters

check-systems: $(if $(filter clusters,$(SYSTEMS)),all)
	@tests/systems $(SYSTEMS)

# The Debian package, built and used there.
check-deb:
	@tests/systems $(patsubst %,deb-%,$(filter-out clusters,$(SYSTEMS)))

# Each parser for FUZZ_TIME seconds; findings stay in build-fuzz/.
FUZZ_TIME = 60
FUZZ_CC   = clang
FUZZ_FLAGS = -std=c11 -g -O1 -fsanitize=fuzzer-no-link,address,undefined \
	     -fno-sanitize-recover=all $(DEFINES) -I. -I$(BUILD)/gen $(CURL_CFLAGS) $(PGSQL_CFLAGS) $(MYSQL_CFLAGS) $(REDIS_CFLAGS) $(JOURNAL_CFLAGS)

build-fuzz/%.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

-include $(patsubst %.c,build-fuzz/%.d,$(SOURCES) $(wildcard tests/fuzz/*.c))

build-fuzz/all.a: $(patsubst %.c,build-fuzz/%.o,$(call parts,$(SOURCES)))
	@rm -f $@
	$(AR) rcs $@ $^

build-fuzz/fuzz_%: build-fuzz/tests/fuzz/fuzz_%.o build-fuzz/all.a
	$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -o $@ $^ \
	 $(CURL_LIBS) $(LOADED) $(LIBS)

fuzzers: $(addprefix build-fuzz/,$(FUZZERS))

fuzz: $(addprefix build-fuzz/,$(FUZZERS))
	tests/fuzz/run $(FUZZ_TIME) $^

bench: all
	bench/run

TORTURE_TIME = 60
TORTURE_LINES = 100000000

torture: all build/unit_maillog
	tests/torture.py --seconds $(TORTURE_TIME)
	build/unit_maillog $(TORTURE_LINES) $$(date +%s)
	$(MAKE) fuzz FUZZ_TIME=$(TORTURE_TIME)

demo: all
	tests/demo.py

lint: $(GENERATED)
	tests/layers.py
	tests/lint $(SOURCES) $(HEADERS)

deps:
	sh setup.sh --install-only all check

ETC   = $(DESTDIR)$(SYSCONFDIR)/abichecker
CACHE = $(DESTDIR)$(LOCALSTATEDIR)/cache/abichecker
STATE = $(DESTDIR)$(LOCALSTATEDIR)/lib/abichecker
CRON  = $(DESTDIR)$(SYSCONFDIR)/cron.d
DOCS  = README.md NEWS.md SECURITY.md LICENSE master.cf.example \
	abichecker.conf.example whitelist.txt
# Samples for accounts.command.
SAMPLES = report-account lock-account lock-account-root
# For systemd; which of the units to use is for the administrator to say.
UNITS_SYSTEMD = abichecker-clean.service abichecker-clean.timer \
	abichecker-scan.service abichecker-scan.timer \
	abichecker-follow.service \
	abichecker-geoip.service abichecker-geoip.timer
# The user, and the directories of what it writes.
ACCOUNT = $(DESTDIR)$(PREFIX)/lib/sysusers.d/abichecker.conf
PLACE   = $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/abichecker.conf

# The places and the user of this installation, in texts that name the usual ones.
HERE = s|/usr/local/sbin|$(SBINDIR)|g; \
	s|/usr/local/share/abichecker|$(DATADIR)|g; \
	s|/usr/local/share/doc/abichecker|$(DOCDIR)|g; \
	s|/usr/local/lib/systemd/system|$(UNITDIR)|g; \
	s|/usr/local/lib/sysusers\.d|$(PREFIX)/lib/sysusers.d|g; \
	s|/usr/local/share/bash-completion|$(PREFIX)/share/bash-completion|g; \
	s|/etc/abichecker|$(SYSCONFDIR)/abichecker|g; \
	s|/etc/cron\.d/abichecker|$(SYSCONFDIR)/cron.d/abichecker|g; \
	s|/var/\(cache\|lib\)/abichecker|$(LOCALSTATEDIR)/\1/abichecker|g; \
	s|\([Uu]ser\)=abichecker|\1=$(INSTALL_USER)|g; \
	s|\* abichecker |* $(INSTALL_USER) |; \
	s|^u abichecker |u $(INSTALL_USER) |; \
	s|0750 abichecker abichecker |0750 $(INSTALL_USER) $(INSTALL_USER) |
# $(call texts,MODE,FILES,DIRECTORY) installs them so.
texts = for file in $(2); do \
	  to=$(3)/$$(basename "$$file") && \
	  sed '$(HERE)' "$$file" > "$$to" && chmod $(1) "$$to" || exit; \
	done
# An administrator's file is never touched again.
KEEP  = test -e $(2) || \
	{ install $(3) /dev/null $(2) && sed '$(HERE)' $(1) > $(2); }

# Below DESTDIR, where there may be no such user, and without root, everything
# stays the installing user's. The cron file is not for a system without cron.
install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(MANDIR)/man5 \
	 $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(DOCDIR)/docs $(DESTDIR)$(DATADIR) \
	 $(DESTDIR)$(UNITDIR) $(dir $(ACCOUNT) $(PLACE)) $(ETC) \
	 $(if $(DESTDIR),$(CRON))
	install -m 755 $(BIN)abichecker $(BIN)abictl $(DESTDIR)$(SBINDIR)
	@$(call texts,644,man/*.5,$(DESTDIR)$(MANDIR)/man5)
	@$(call texts,644,man/*.8,$(DESTDIR)$(MANDIR)/man8)
	@$(call texts,644,$(DOCS),$(DESTDIR)$(DOCDIR))
	@$(call texts,644,docs/*.md,$(DESTDIR)$(DOCDIR)/docs)
	@$(call texts,755,$(addprefix contrib/commands/,$(SAMPLES)),$(DESTDIR)$(DATADIR))
	@$(call texts,644,contrib/systemd/map.conf,$(DESTDIR)$(DATADIR))
	@$(call texts,644,$(addprefix contrib/systemd/,$(UNITS_SYSTEMD)),$(DESTDIR)$(UNITDIR))
	@sed '$(HERE)' contrib/systemd/sysusers.conf > $(ACCOUNT)
	@sed '$(HERE)' contrib/systemd/tmpfiles.conf > $(PLACE)
	@chmod 644 $(ACCOUNT) $(PLACE)
	install -D -m 644 $(BUILD)/completion/bash $(DESTDIR)$(BASHDIR)/abictl
	install -D -m 644 $(BUILD)/completion/zsh $(DESTDIR)$(ZSHDIR)/_abictl
	install -D -m 644 $(BUILD)/completion/fish $(DESTDIR)$(FISHDIR)/abictl.fish
	@set -e; owner=; group=; \
	if [ "$$(id -u)" = 0 ] && [ -z "$(DESTDIR)" ]; then \
	  if ! id -u $(INSTALL_USER) >/dev/null 2>&1; then \
	    echo 'new user: $(INSTALL_USER)'; \
	    systemd-sysusers $(ACCOUNT) 2>/dev/null || \
	    useradd --system --user-group --no-create-home \
	     --home-dir /nonexistent --shell /usr/sbin/nologin $(INSTALL_USER); \
	  fi; \
	  gid=$$(id -g $(INSTALL_USER)); \
	  owner="-o $(INSTALL_USER) -g $$gid"; group="-g $$gid"; \
	fi; \
	install -d -m 750 $$owner $(CACHE) $(STATE); \
	$(call KEEP,abichecker.conf.example,$(ETC)/abichecker.conf,-m 640 $$group); \
	$(call KEEP,whitelist.txt,$(ETC)/whitelist.txt,-m 644); \
	if [ -d $(CRON) ] && [ ! -e $(CRON)/abichecker ]; then \
	  sed '$(HERE)' contrib/abichecker.cron > $(CRON)/abichecker; \
	  chmod 644 $(CRON)/abichecker; \
	fi
ifeq ($(DESTDIR),)
	@echo; echo 'Next, set your API key, then have Postfix consult the filter:'
	@echo '    sudo $${EDITOR:-vi} $(ETC)/abichecker.conf'
	@echo '    sudo $(SBINDIR)/abictl postfix enable mx'
endif

# Programs, manuals and units go; configuration, cache, state and user stay.
uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/abichecker $(DESTDIR)$(SBINDIR)/abictl
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/man5/,$(notdir $(wildcard man/*.5)))
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/man8/,$(notdir $(wildcard man/*.8)))
	rm -rf $(DESTDIR)$(DOCDIR)
	rm -f $(addprefix $(DESTDIR)$(DATADIR)/,$(SAMPLES) map.conf)
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,$(UNITS_SYSTEMD))
	rm -f $(DESTDIR)$(BASHDIR)/abictl $(DESTDIR)$(ZSHDIR)/_abictl \
	 $(DESTDIR)$(FISHDIR)/abictl.fish
	rm -f $(ACCOUNT) $(PLACE)
	rmdir $(DESTDIR)$(DATADIR) 2>/dev/null || true
	@if [ -e $(CRON)/abichecker ]; then \
	  echo 'left: $(CRON)/abichecker'; fi
	@for dir in $(ETC) $(CACHE) $(STATE); do \
	  if [ -e $$dir ]; then echo "left: $$dir"; fi; done

# The Debian package of this tree, in build/deb, from a copy without what is
# built here.
deb:
	rm -rf build/deb && mkdir -p build/deb/source
	sed 's|^/|./|; s|/$$||' .gitignore | \
	 tar --exclude=./.git -X - -cf - . | tar -C build/deb/source -xf -
	cd build/deb/source && dpkg-buildpackage --no-sign --build=binary
	@cd build/deb && ls *.deb

clean:
	rm -rf build build-san build-fuzz abichecker abictl

FORCE:
.PHONY: all units check check-systems check-deb fuzzers fuzz bench torture demo lint deps install \
	uninstall deb clean FORCE
.SECONDARY:
