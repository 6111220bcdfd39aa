-- Records a login and counts. KEYS: the user's logins, all users, times,
-- countries. ARGV: user, block, country, now, since, seconds to keep it (""
-- = record nothing), how many rows are a lot.
--
-- Of a user with a lot of blocks not every row is looked at each time, else
-- one account in the hands of a botnet could keep the server busy: there are
-- two keys more, which are made anew when they do not have all blocks. times:
-- blocks by last login; countries: "LAST BLOCK" of each. They do not help when
-- a block's own country changes, or hides in one that is not known now.
local block, country, seconds = ARGV[2], ARGV[3], ARGV[6]
local last, since = tonumber(ARGV[4]), tonumber(ARGV[5])
local seen, countries, addresses, count = {}, 0, 1, 0
local prev, prevtime, where = '', nil, {}

local function note(c)
	if string.find(c, '^[A-Z][A-Z]$') and not seen[c] then
		seen[c] = true
		countries = countries + 1
	end
end

local function parse(v)
	local t, n, c = string.match(v or '', '^(%-?%d+) (%d+) (.*)$')
	return tonumber(t), tonumber(n), c
end

local function elsewhere(c, t, b)
	if #c == 2 and c ~= ARGV[3] and (not where[c] or where[c][3] < t) then
		where[c] = { b, c, t }
	end
end

local function before(b, t)
	if not prevtime or t > prevtime or (t == prevtime and b < prev) then
		prev, prevtime = b, t
	end
end

local rows = redis.call('HLEN', KEYS[1])
local large = rows > tonumber(ARGV[7]) and seconds ~= ''
local owntime, owncount, own = parse(redis.call('HGET', KEYS[1], block))

local function make()
	local all, latest = redis.call('HGETALL', KEYS[1]), {}
	redis.call('UNLINK', KEYS[3], KEYS[4])
	for i = 1, #all, 2 do
		local t, _, c = parse(all[i + 1])
		if t then
			redis.call('ZADD', KEYS[3], string.format('%.0f', t), all[i])
			if #c == 2 and (not latest[c] or latest[c][1] < t) then
				latest[c] = { t, all[i] }
			end
		else
			redis.call('HDEL', KEYS[1], all[i])
		end
	end
	for c, l in pairs(latest) do
		redis.call('HSET', KEYS[4], c, string.format('%.0f %s', l[1], l[2]))
	end
end

if owntime then
	count = owncount
	if owntime > last then last = owntime end
	-- The country stays if it is not known now.
	if country == '' then country = own end
end
note(country)
local short = large and (not owntime or own == '' or own == ARGV[3])
if short then
	if redis.call('ZCARD', KEYS[3]) ~= rows then make() end
	addresses = redis.call('ZCOUNT', KEYS[3], string.format('(%.0f', since),
		'+inf') + (owntime and owntime > since and 0 or 1)
	local p = redis.call('ZREVRANGE', KEYS[3], 0, 1, 'WITHSCORES')
	for i = 1, #p, 2 do
		if p[i] ~= block then before(p[i], tonumber(p[i + 1])) end
	end
	local all = redis.call('HGETALL', KEYS[4])
	for i = 1, #all, 2 do
		local t, b = string.match(all[i + 1], '^(%-?%d+) (.*)$')
		t = tonumber(t)
		if t and t > since and all[i] ~= country then
			note(all[i])
			elsewhere(all[i], t, b)
		end
		if all[i] == country and t and t > last then short = 'old' end
	end
else
	local all = redis.call('HGETALL', KEYS[1])
	for i = 1, #all, 2 do
		local t, _, c = parse(all[i + 1])
		if t and all[i] ~= block then
			before(all[i], t)
			if t > since then
				addresses = addresses + 1
				note(c)
				elsewhere(c, t, all[i])
			end
		end
	end
end

if seconds ~= '' then
	local l = string.format('%.0f', last)
	redis.call('HSET', KEYS[1], block,
		string.format('%s %.0f %s', l, count + 1, country))
	redis.call('EXPIRE', KEYS[1], seconds)
	if rows == 0 then redis.call('ZADD', KEYS[2], 0, ARGV[1]) end
	if short then
		redis.call('ZADD', KEYS[3], l, block)
		redis.call('EXPIRE', KEYS[3], seconds)
		if #country == 2 and short ~= 'old' then
			redis.call('HSET', KEYS[4], country, l .. ' ' .. block)
		end
		redis.call('EXPIRE', KEYS[4], seconds)
	else
		redis.call('UNLINK', KEYS[3], KEYS[4])
	end
end

local out = { countries, addresses, prev, prevtime or 0 }
local latest = {}
for _, w in pairs(where) do latest[#latest + 1] = w end
table.sort(latest, function(a, b)
	return a[3] > b[3] or (a[3] == b[3] and a[2] < b[2])
end)
for i = 1, math.min(#latest, 8) do
	for k = 1, 3 do out[#out + 1] = latest[i][k] end
end
return out
