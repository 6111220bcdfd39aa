-- Changes the list of offenders, in portions of a thousand. KEYS: offenders,
-- listed, past, hits, generation. ARGV: what to do (add, remove, expire); the
-- block ("" = all), or the time; what keys of hits begin with; a generation to
-- begin with; to add one: how it is kept, but for the number of its listings,
-- and when its ban ends. Gives how many were on the list, and 1 = there may be
-- more of them.
local what, block = ARGV[1], ARGV[2]
local count, more = 0, 0

local function forget(name)
	redis.call('UNLINK', ARGV[3] .. name .. '}')
	redis.call('ZREM', KEYS[4], name)
end

if what == 'add' then
	local times, listed = string.match(redis.call('HGET', KEYS[1], block) or '',
		'^%-?%d+ (%-?%d+) %-?%d+ %-?%d+ %-?%d+ (%d+) ')
	count = listed and listed ~= '0' and 1 or 0
	times = string.format('%.0f', (tonumber(times) or 0) + 1 - count)
	redis.call('HSET', KEYS[1], block,
		(string.gsub(ARGV[5], '^(%-?%d+) %-?%d+', '%1 ' .. times)))
	redis.call('ZREM', KEYS[3], block)
	redis.call('ZADD', KEYS[2], ARGV[6], block)
elseif what == 'expire' then
	for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', block,
		'LIMIT', 0, 1000)) do
		local o = redis.call('HGET', KEYS[1], name) or ''
		local kept, last, rest =
			string.match(o, '^(%-?%d+ %-?%d+ %-?%d+ (%-?%d+) %-?%d+) %d+( .*)$')
		redis.call('ZREM', KEYS[2], name)
		if kept then
			redis.call('HSET', KEYS[1], name, kept .. ' 0' .. rest)
			redis.call('ZADD', KEYS[3], last, name)
		end
		count = count + 1
	end
	more = count == 1000 and 1 or 0
elseif block ~= '' then
	forget(block)
	count = redis.call('HDEL', KEYS[1], block)
	redis.call('ZREM', KEYS[2], block)
	redis.call('ZREM', KEYS[3], block)
else
	local names = redis.call('ZRANGE', KEYS[4], 0, 999)
	for _, name in ipairs(names) do forget(name) end
	more = #names == 1000 and 1 or 0
	count = redis.call('HLEN', KEYS[1])
	redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
end
if what == 'add' or count > 0 then
	redis.call('SET', KEYS[5], ARGV[4], 'NX')
	redis.call('INCR', KEYS[5])
end
return { count, more }
