-- Looks at accounts, or changes one. KEYS: the set, our users. ARGV: what to
-- do (add, find, release, ran; listed, released: lists of them); the user, or
-- where a list goes on; what our keys begin with; now; seconds to keep a
-- released one; to add it: check, address, reason, and the time before which
-- it counts as new. Gives 1 or 0; of what is found where to go on, "0" = at
-- the end, and seven texts for each.
--
-- Others change the set, too: `m' is `ours' if it is of what the set says.
-- One that is no longer in the set was taken out by hand.
local what, user, now = ARGV[1], ARGV[2], ARGV[4]
local m, listed, ours

local function key(name)
	return ARGV[3] .. name .. '}:account'
end

local function look(name)
	m = redis.call('HMGET', key(name), 'since', 'released', 'ran', 'check',
		'address', 'reason')
	listed = redis.call('SISMEMBER', KEYS[1], name) == 1
	ours = m[1] and listed == (m[2] == '0')
end

local function write(since, check, address, reason)
	redis.call('DEL', key(user))
	redis.call('HSET', key(user), 'since', since, 'released', 0, 'ran', 0,
		'check', check, 'address', address, 'reason', reason)
	redis.call('ZADD', KEYS[2], 0, user)
end

local function release(call, name)
	call('HSET', key(name), 'released', now)
	call('EXPIRE', key(name), ARGV[5])
	call('ZADD', KEYS[2], now, name)
end

-- Adds what is known of one to a list.
local function find(list, name)
	look(name)
	if listed and not ours then m = { '0', '0', '0', '', '', '' } end
	if m[1] and not listed and m[2] == '0' then
		m[2] = now
		release(redis.pcall, name) -- not on a server for reading only
	end
	-- Those who are in the set come with it.
	if m[1] and (what == 'find' or listed == (what == 'listed')) then
		list[#list + 1] = name
		for i = 1, 6 do list[#list + 1] = m[i] end
	end
	return list
end

if what == 'find' then return { '0', find({}, user) } end
if what == 'listed' or what == 'released' then
	local step = what == 'listed' and 1 or 2
	local found = redis.call(step == 1 and 'SSCAN' or 'ZSCAN', KEYS[step],
		user, 'COUNT', 1000)
	local list = {}
	for i = 1, #found[2], step do find(list, found[2][i]) end
	return { found[1], list }
end
look(user)
if what == 'add' then
	if listed and (tonumber(ours and m[1]) or 0) >= tonumber(ARGV[9]) then
		return 1
	end
	redis.call('SADD', KEYS[1], user)
	write(now, ARGV[6], ARGV[7], ARGV[8])
	return 0
end
if what == 'release' then
	redis.call('SREM', KEYS[1], user)
	if not listed and (not m[1] or m[2] ~= '0') then return 0 end
	if listed and not ours then write(0, '', '', '') end
	release(redis.call, user)
	return listed and 1 or 0
end
if not listed and not m[1] then return 0 end
if listed and not ours then
	write(0, '', '', '')
elseif m[3] == '1' then
	return 0
end
redis.call('HSET', key(user), 'ran', 1)
return 1
