#!/bin/sh
#
# setup.sh - install the Debian packages that a make target needs, then make it
#
#	sudo sh setup.sh demo
#	sudo sh setup.sh check
#
# It says how long that will take, and compiles with all cores.  Only missing
# packages are installed, and no service is started by it: for the time of the
# installation a policy-rc.d forbids that.  One that is there already comes
# back afterwards, also when the installation fails or is interrupted.

set -u
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

EX_USAGE=64
EX_UNAVAILABLE=69
EX_OSERR=71
EX_NOPERM=77

targets='all install uninstall clean demo check check-systems check-deb torture
    bench fuzz lint'

# packages_of TARGET: the packages it needs, a table in one place
packages_of()
{
	build='gcc make pkg-config libc6-dev libcurl4-openssl-dev libcjson-dev
	    libsqlite3-dev libmaxminddb-dev libmd-dev libc-ares-dev
	    libcdb-dev libpq-dev libmariadb-dev libhiredis-dev
	    libssl-dev libsystemd-dev zlib1g-dev
	    libsmartcols-dev'
	mail='postfix python3'
	servers='postgresql pgbouncer mariadb-server redis-server'
	check="libcmocka-dev mandoc openssl ca-certificates procps
	    libmaxmind-db-writer-perl postfix-cdb postfix-lmdb systemd
	    systemd-journal-remote gzip xz-utils zstd bzip2 zsh fish
	    $servers"
	clusters='postgresql mariadb-server galera-4 rsync lsof iproute2'
	fuzz='clang libclang-rt-dev'
	root='mmdebstrap debian-archive-keyring'
	case $1 in
	all|build)	echo "$build" ;;
	install)	echo "$build ca-certificates" ;;
	uninstall|clean) echo make ;;
	demo)		echo "$build $mail" ;;
	check)		echo "$build $mail $check" ;;
	bench)		echo "$build python3 $servers" ;;
	torture)	echo "$build $mail $check $fuzz" ;;
	fuzz)		echo "$build $fuzz" ;;
	lint)		echo "$build libcmocka-dev clang-format clang-tidy" \
			    "cppcheck shellcheck mandoc python3" ;;
	check-systems)	echo "$build python3 $root $clusters" ;;
	check-deb)	echo "make python3 $root" ;;
	in-root)	echo "$root" ;;	# the script in tests
	mail-host)	# what tests/systems.py wants in its roots
			echo "$mail dovecot-core rsyslog logrotate cron sudo" \
			    "curl acl iproute2 hostname procps openssl" \
			    "ca-certificates ssl-cert sqlite3 libpq5" \
			    "postgresql redis-server" ;;
	*)		return 1 ;;
	esac
}

# compiled_for TARGET: what make can do for it beforehand, with all cores
compiled_for()
{
	case $1 in
	all|install|demo|bench|check-systems)
			echo all ;;
	check)		echo all units ;;
	torture)	echo all fuzzers ;;
	fuzz)		echo fuzzers ;;
	esac
}

# seconds_of TARGET: how long one core compiles for it, and how long it runs
# then; as measured on two cores, of which one mostly waits
seconds_of()
{
	case $1 in
	all|install)	echo 40 0 ;;
	demo)		echo 40 10 ;;
	check)		echo 75 300 ;;
	check-systems)	echo 40 1200 ;;
	*)		return 1 ;;
	esac
}

usage()
{
	cat <<-END
	usage: setup.sh [--yes] TARGET... [NAME=VALUE...]
	       setup.sh --install-only [--yes] TARGET...
	       setup.sh --packages TARGET...

	Installs the Debian packages that the make TARGETs need and that are
	not there yet, then runs "make TARGET...".  No service is started.

	  --yes           go on although packages would be removed for it,
	                  such as another mail server for Postfix
	  --install-only  install the packages, make nothing
	  --packages      print the packages, install and make nothing
	  --help          this text

	Targets: $targets
	NAME=VALUE is handed to make: "setup.sh check SAN=1".
	END
}

say()
{
	printf 'setup.sh: %s\n' "$*" >&2
}

# die STATUS TEXT...
die()
{
	status=$1
	shift
	say "$@"
	exit "$status"
}

is_installed()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = \
	    installed ]
}

# missing PACKAGE...: those that are not installed, each once
missing()
{
	for package; do
		is_installed "$package" || echo "$package"
	done | sort -u | tr '\n' ' '
}

# 9>&-: what a package starts must not hold our lock
apt_get()
{
	DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get \
	    -o DPkg::Lock::Timeout=300 "$@" 9>&-
}

# download PACKAGE...: how many megabytes that are
download()
{
	apt_get -q -y --print-uris install --no-install-recommends "$@" \
	    2>/dev/null </dev/null |
	    awk '/^\047/ { sum += $3 } END { printf "%.0f\n", sum / 1e6 }'
}

# announce NUMBER MEGABYTES: what follows, and how long that will take
announce()
{
	what=
	[ "$1" -eq 0 ] ||
	    what="installing packages ($1, $2 MB to download)"
	[ "$install_only" = yes ] || what="$what${what:+, then }making$goals"
	[ -z "$what" ] || say "$what$(duration "$1")"
}

# duration NUMBER: of so many packages, half a second for each, and all goals;
# nothing if it is not known
duration()
{
	seconds=$(($1 / 2)) cores=$(nproc)
	[ "$install_only" = yes ] || for goal in $goals; do
		times=$(seconds_of "$goal") && [ $assigned = no ] || return 0
		seconds=$((seconds + ${times% *} / cores + ${times#* }))
	done
	echo ", about $((seconds / 60 + 1)) min on $cores cores"
}

# compile NAME=VALUE...: what all goals need, with all cores
compile()
{
	parts=$(for goal in $goals; do compiled_for "$goal"; done)
	# shellcheck disable=SC2086 # a list of names
	[ -z "$parts" ] || make -j"$(nproc)" "$@" $parts || exit
}

# simulate PACKAGE...: what an installation would do
simulate()
{
	apt_get -q -s install --no-install-recommends "$@" 2>/dev/null </dev/null
}

# removals: of a simulation on standard input, the packages that would go
removals()
{
	awk '$1 == "Remv" { print $2 }'
}

# refuse_removals PACKAGE...: stop if one of them is needed in place
refuse_removals()
{
	others=
	for package; do
		case $(dpkg-query -W -f '${Provides}' "$package" 2>/dev/null) in
		*mail-transport-agent*)
			say "this system's mail server is $package, and" \
			    "Postfix would replace it" ;;
		esac
		others="$others $package"
	done
	[ -n "$others" ] || return 0
	if [ "$yes" = no ]; then
		die $EX_UNAVAILABLE "these packages would be removed:$others." \
		    "Nothing was changed. If that is what you want:" \
		    "setup.sh --yes $arguments"
	fi
	say "as --yes says, these packages will be removed:$others"
}

policy=/usr/sbin/policy-rc.d
saved=$policy.before-abichecker-setup
mark='written by the setup.sh of abichecker'

# forbid_services: put our policy-rc.d in place, keep what was there
forbid_services()
{
	restore_policy		# left by a run that was killed
	trap restore_policy EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	if [ -e "$policy" ] || [ -L "$policy" ]; then
		mv -f "$policy" "$saved" || exit $EX_OSERR
	fi
	{ printf '#!/bin/sh\n# %s, gone when it ends\nexit 101\n' "$mark" \
	    >"$policy" && chmod 755 "$policy"; } ||
	    die $EX_OSERR "cannot write $policy"
}

# restore_policy: undo forbid_services, if it was done
restore_policy()
{
	if grep -qs "$mark" "$policy"; then
		rm -f "$policy"
	fi
	if [ -e "$saved" ] || [ -L "$saved" ]; then
		[ -e "$policy" ] || [ -L "$policy" ] ||
		    mv -f "$saved" "$policy"
	fi
}

# Postfix asks how to set itself up; "Local only" listens nowhere else, also
# after the next boot.  An installed Postfix is left as it is.
answer_postfix()
{
	echo 'postfix postfix/main_mailer_type select Local only' |
	    debconf-set-selections 9>&-
}

install_packages()
{
	command -v apt-get >/dev/null ||
	    die $EX_UNAVAILABLE "no apt-get here: this is for Debian." \
	    "Install what corresponds to: $*"
	# shellcheck disable=SC2046 # a list of names
	set -- $(missing "$@")
	[ $# -gt 0 ] || { announce 0 0; return; }
	[ "$(id -u)" -eq 0 ] ||
	    die $EX_NOPERM "only root can install packages. Say:" \
	    "sudo sh setup.sh $arguments (it would install: $*)"

	exec 9</usr/sbin
	flock 9 || die $EX_OSERR "cannot lock /usr/sbin"
	if ! plan=$(simulate "$@"); then
		apt_get -q update >&2 ||
		    die $EX_UNAVAILABLE "apt-get update failed, see above"
		plan=$(simulate "$@") || {
			apt_get -q -s install --no-install-recommends "$@" >&2
			die $EX_UNAVAILABLE "apt-get cannot install this," \
			    "see above"
		}
	fi
	# shellcheck disable=SC2046 # a list of names
	refuse_removals $(echo "$plan" | removals)
	announce "$(echo "$plan" | grep -c '^Inst')" "$(download "$@")"
	forbid_services
	case " $* " in
	*' postfix '*)	answer_postfix ;;
	esac
	# The lists may be older than what the mirror still has
	apt_get -q -y install --no-install-recommends "$@" >&2 </dev/null ||
	    { apt_get -q update >&2 &&
	    apt_get -q -y install --no-install-recommends "$@" >&2 </dev/null; } ||
	    die $EX_UNAVAILABLE "apt-get could not install $*, see above"
	restore_policy
	trap - EXIT HUP INT TERM
	exec 9<&-
}

main()
{
	yes=no install_only=no print=no assigned=no
	arguments=$* goals='' packages=''
	for argument; do
		shift
		case $argument in
		--yes)		yes=yes ;;
		--install-only)	install_only=yes ;;
		--packages)	print=yes ;;
		-h|--help)	usage; exit 0 ;;
		-*)		usage >&2; exit $EX_USAGE ;;
		*=*)
			assigned=yes
			set -- "$@" "$argument" ;;
		*)
			list=$(packages_of "$argument") ||
			    die $EX_USAGE "unknown target $argument" \
			    "(there are: $targets)"
			packages="$packages $list"
			case $argument in
			build)		argument=all ;;
			in-root|mail-host) install_only=yes ;;
			esac
			goals="$goals $argument" ;;
		esac
	done
	[ -n "$packages" ] || { usage >&2; exit $EX_USAGE; }
	# shellcheck disable=SC2086 # a list of names
	if [ "$print" = yes ]; then
		printf '%s\n' $packages | sort -u
		exit 0
	else
		install_packages $packages
	fi
	[ "$install_only" = no ] || exit 0

	cd "$(dirname "$0")" || exit $EX_OSERR
	compile "$@"
	# shellcheck disable=SC2086 # a list of names
	exec make $goals "$@"
}

main "$@"
