-- A portion of rows: some thousand, or what belongs to one name. KEYS: their
-- hash, or the index of those who have them. ARGV: what keys begin with; which
-- (users, hits, offenders, positions); of whom, "" = of all; where to go on,
-- "0" = at the beginning; "count" = say only how many. Gives where to go on,
-- "0" = that was all; and three texts for each row: of whom, a field, a value.
local prefix, which, of, at, count = unpack(ARGV)
local cursor, rest = string.match(at, '^(%d+) ?(.*)$')
local rows, seen, total = {}, 0, 0

local function add(name, list)
	for i = 1, #list, 2 do
		rows[#rows + 1] = name
		rows[#rows + 1] = list[i]
		rows[#rows + 1] = list[i + 1]
	end
	seen = seen + #list / 2
end

-- Goes on in a user, or with the next one by name: each comes once.
local function users()
	while seen < 3000 do
		if cursor == '0' then
			rest = of ~= '' and of or redis.call('ZRANGEBYLEX', KEYS[1],
				'(' .. rest, '+', 'LIMIT', 0, 1)[1]
			if not rest then return '0' end
		end
		local key = prefix .. '{' .. rest .. '}:logins'
		seen = seen + 1
		if count ~= '' then
			total = total + redis.call('HLEN', key)
		else
			local found = redis.call('HSCAN', key, cursor, 'COUNT', 1000)
			cursor = found[1]
			add(rest, found[2])
		end
		if cursor == '0' and of ~= '' then return '0' end
	end
	return cursor .. ' ' .. rest
end

-- Goes on with the blocks that are left of a part of the index, or the next.
local function hits()
	local blocks = { of ~= '' and of or nil }
	for block in string.gmatch(rest, '%S+') do blocks[#blocks + 1] = block end
	if #blocks == 0 then
		local found = redis.call('ZSCAN', KEYS[1], cursor, 'COUNT', 1000)
		cursor = found[1]
		for i = 1, #found[2], 2 do blocks[#blocks + 1] = found[2][i] end
	end
	while #blocks > 0 and seen < 3000 do
		local block = table.remove(blocks)
		local key = prefix .. 'hits:{' .. block .. '}'
		seen = seen + 1
		if count ~= '' then
			total = total + redis.call('ZCARD', key)
		else
			add(block, redis.call('ZRANGE', key, 0, -1, 'WITHSCORES'))
		end
	end
	return #blocks == 0 and cursor or cursor .. ' ' .. table.concat(blocks, ' ')
end

if which == 'users' then
	at = users()
elseif which == 'hits' then
	at = hits()
elseif of ~= '' then
	add('', { of, redis.call('HGET', KEYS[1], of) })
	at = '0'
else
	local found = redis.call('HSCAN', KEYS[1], cursor, 'COUNT', 1000)
	add('', found[2])
	at = found[1]
end
return { at, count ~= '' and { total } or rows }
