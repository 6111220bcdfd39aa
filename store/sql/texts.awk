# Makes a C header of a file for servers: of name.lua the macro NAME_LUA, its
# text; of name.sql a macro NAME_SQL(S), which is S(NAME, sqlite, pgsql, mysql,
# order) for each statement in it:
#
#   -- name: login_put      begins a statement
#   -- mysql                and its other text for this one (sqlite, pgsql)
#
# $1, $2, ... are its parameters. MySQL has ? for them; order says which is
# meant by each. Its upsert is written in another way, too: that is changed
# here, in what has no text of its own for it.

function quoted(value) {
	gsub(/\\/, "&&", value)
	gsub(/"/, "\\\"", value)
	return "\"" value "\""
}

function add(value) {
	printf ", \\\n\t\t%s", quoted(value)
}

function sqlite(t) {
	gsub(/\$/, "?", t)
	return t
}

function upsert(t) {
	gsub(/ON CONFLICT \([a-z_, ]*\) DO UPDATE SET/, "ON DUPLICATE KEY UPDATE", t)
	while (match(t, /excluded\.[a-z_]+/))
		t = substr(t, 1, RSTART - 1) "VALUES(" \
		    substr(t, RSTART + 9, RLENGTH - 9) ")" \
		    substr(t, RSTART + RLENGTH)
	return t
}

# Sets order.
function mysql(t) {
	order = ""
	while (match(t, /\$[0-9]+/)) {
		order = order sprintf("\\%03o", substr(t, RSTART + 1, RLENGTH - 1))
		t = substr(t, 1, RSTART - 1) "?" substr(t, RSTART + RLENGTH)
	}
	return t
}

function end() {
	if (name == "")
		return
	printf " \\\n\tS(%s", toupper(name)
	add(sqlite("sqlite" in text ? text["sqlite"] : text["all"]))
	add("pgsql" in text ? text["pgsql"] : text["all"])
	add(mysql("mysql" in text ? text["mysql"] : upsert(text["all"])))
	printf ", \\\n\t\t\"%s\")", order
	split("", text)
}

FNR == 1 {
	macro = toupper(FILENAME)
	sub(/.*\//, "", macro)
	gsub(/[^A-Z0-9]/, "_", macro)
	printf "#define %s", macro
	printf FILENAME ~ /lua$/ ? "" : "(S)"
}
FILENAME ~ /lua$/ { printf " \\\n\t%s \"\\n\"", quoted($0); next }
/^-- name: / { end(); name = $3; dialect = "all"; next }
/^-- (sqlite|pgsql|mysql)$/ { dialect = $2; next }
/^[ \t]*(--|$)/ { next }
{
	sub(/^[ \t]+/, "")
	text[dialect] = text[dialect] (text[dialect] == "" ? "" : " ") $0
}
END { end(); print "" }
