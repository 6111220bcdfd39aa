-- Up to a thousand of each kind: rates that have ended, released accounts,
-- hits, offenders that are no longer listed. KEYS: rates, accounts, hits,
-- past, offenders. ARGV: now, accounts_before, hits_before, what keys of
-- rates, users and hits begin with. Gives rows removed, 1 = there may be more.
local removed, more = 0, 0

local function over(key, from, till)
	local found = redis.call('ZRANGEBYSCORE', key, from, till, 'LIMIT', 0, 1000)
	if #found == 1000 then more = 1 end
	return ipairs(found)
end

for _, name in over(KEYS[1], '-inf', ARGV[1]) do
	redis.call('UNLINK', ARGV[4] .. name)
	removed = removed + redis.call('ZREM', KEYS[1], name)
end
for _, user in over(KEYS[2], '(0', '(' .. ARGV[2]) do
	redis.call('UNLINK', ARGV[5] .. user .. '}:account')
	removed = removed + redis.call('ZREM', KEYS[2], user)
end
for _, block in over(KEYS[3], '-inf', '(' .. ARGV[3]) do
	local key = ARGV[6] .. block .. '}'
	removed = removed +
		redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. ARGV[3])
	local oldest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
	if oldest then
		redis.call('ZADD', KEYS[3], oldest, block)
	else
		redis.call('ZREM', KEYS[3], block)
	end
end
for _, block in over(KEYS[4], '-inf', '(' .. ARGV[3]) do
	redis.call('HDEL', KEYS[5], block)
	removed = removed + redis.call('ZREM', KEYS[4], block)
end
return { removed, more }
