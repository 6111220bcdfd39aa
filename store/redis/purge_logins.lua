-- Looks at the logins of users after a name, until it has seen enough rows.
-- KEYS: users. ARGV: what a user's keys begin with, where to begin, rows,
-- from, until: times of logins that stay. Gives rows removed, and where to go
-- on, "" = at the end.
local at, most = ARGV[2], tonumber(ARGV[3])
local from, till = tonumber(ARGV[4]), tonumber(ARGV[5])
local seen, removed = 0, 0

local function purge(user)
	local key = ARGV[1] .. user .. '}:logins'
	local rows, gone = redis.call('HGETALL', key), {}
	for i = 1, #rows, 2 do
		local t = tonumber(string.match(rows[i + 1], '^(%-?%d+) '))
		if not t or t < from or t > till or #rows[i] > 45 then
			gone[#gone + 1] = rows[i]
		end
	end
	for i = 1, #gone, 1000 do
		redis.call('HDEL', key, unpack(gone, i, math.min(i + 999, #gone)))
	end
	if #gone > 0 then
		redis.call('UNLINK', ARGV[1] .. user .. '}:times',
			ARGV[1] .. user .. '}:countries')
	end
	if #gone * 2 == #rows then redis.call('ZREM', KEYS[1], user) end
	removed = removed + #gone
	seen = seen + math.max(#rows / 2, 1)
	at = '(' .. user
end

while seen < most do
	local users = redis.call('ZRANGEBYLEX', KEYS[1], at, '+', 'LIMIT', 0, 100)
	if #users == 0 then return { removed, '' } end
	for _, user in ipairs(users) do
		if seen < most then purge(user) end
	end
end
return { removed, at }
