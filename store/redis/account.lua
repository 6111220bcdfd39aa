-- KEYS: the set, what we know of the account, our users. ARGV: user, what to
-- do (add, find, release, ran), now, seconds to keep a released one; to add
-- it: check, address, reason, and the time before which it counts as new.
-- Gives 1 or 0; find also what is known.
--
-- Others change the set, too: `m' is `ours' if it is of what the set says.
-- One that is no longer in the set was taken out by hand.
local user, what, now = ARGV[1], ARGV[2], ARGV[3]
local m = redis.call('HMGET', KEYS[2], 'since', 'released', 'ran', 'check',
	'address', 'reason')
local listed = redis.call('SISMEMBER', KEYS[1], user) == 1
local ours = m[1] and listed == (m[2] == '0')

local function write(since, check, address, reason)
	redis.call('DEL', KEYS[2])
	redis.call('HSET', KEYS[2], 'since', since, 'released', 0, 'ran', 0,
		'check', check, 'address', address, 'reason', reason)
	redis.call('ZADD', KEYS[3], 0, user)
end

local function release(call)
	call('HSET', KEYS[2], 'released', now)
	call('EXPIRE', KEYS[2], ARGV[4])
	call('ZADD', KEYS[3], now, user)
end

if what == 'find' then
	if listed and not ours then m = { '0', '0', '0', '', '', '' } end
	if not m[1] then return { 0 } end
	if not listed and m[2] == '0' then
		m[2] = now
		release(redis.pcall) -- not on a server for reading only
	end
	return { 1, unpack(m) }
end
if what == 'add' then
	if listed and (tonumber(ours and m[1]) or 0) >= tonumber(ARGV[8]) then
		return 1
	end
	redis.call('SADD', KEYS[1], user)
	write(now, ARGV[5], ARGV[6], ARGV[7])
	return 0
end
if what == 'release' then
	redis.call('SREM', KEYS[1], user)
	if not listed and (not m[1] or m[2] ~= '0') then return 0 end
	if listed and not ours then write(0, '', '', '') end
	release(redis.call)
	return listed and 1 or 0
end
if not listed and not m[1] then return 0 end
if listed and not ours then
	write(0, '', '', '')
elseif m[3] == '1' then
	return 0
end
redis.call('HSET', KEYS[2], 'ran', 1)
return 1
