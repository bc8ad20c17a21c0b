-- The types and encodings of all keys of all databases.
local seen = {}
for number = 0, 15 do
	redis.call('SELECT', number)
	for _, key in ipairs(redis.call('KEYS', '*')) do
		local kind = redis.call('TYPE', key).ok
		seen[kind .. '/' .. redis.call('OBJECT', 'ENCODING', key)] = true
	end
end
local list = {}
for name in pairs(seen) do
	list[#list + 1] = name
end
table.sort(list)
return list
