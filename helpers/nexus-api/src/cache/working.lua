-- The working memory of one agent: a hash, one field an item, each a JSON object; each call is one atomic step.
-- KEYS[1]: the hash. ARGV: what (add, items, clear), time to live in ms, capacity; for add: id, weight, tags as JSON.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local lifetime, capacity = tonumber(ARGV[2]), tonumber(ARGV[3])

-- What is past its time goes first.
local fields = redis.call('HGETALL', KEYS[1])
local items, count = {}, 0
for i = 1, #fields, 2 do
  local item = cjson.decode(fields[i + 1])
  if item.expires <= now then
    redis.call('HDEL', KEYS[1], fields[i])
  else
    items[fields[i]] = item
    count = count + 1
  end
end

if ARGV[1] == 'clear' then
  redis.call('DEL', KEYS[1])
  return {count}
end

local added = 0
if ARGV[1] == 'add' then
  local id = ARGV[4]
  local item = items[id]
  if item then
    item.accesses = item.accesses + 1
  else
    added = 1
    while count >= capacity do
      local oldest
      for other, held in pairs(items) do
        if not oldest or held.order < items[oldest].order then oldest = other end
      end
      redis.call('HDEL', KEYS[1], oldest)
      items[oldest] = nil
      count = count - 1
    end
    -- A number of its own, because two may come within one millisecond.
    local order = 1
    for _, held in pairs(items) do
      if held.order >= order then order = held.order + 1 end
    end
    item = {added = now, order = order, accesses = 0}
    count = count + 1
  end
  item.accessed, item.expires = now, now + lifetime
  item.weight, item.tags = ARGV[5], ARGV[6]
  redis.call('HSET', KEYS[1], id, cjson.encode(item))
  redis.call('PEXPIRE', KEYS[1], lifetime)
  items[id] = item
end

local answer = {count, added, tostring(now)}
if ARGV[1] == 'items' then
  for id, item in pairs(items) do
    answer[#answer + 1] = id
    answer[#answer + 1] = item.weight
    answer[#answer + 1] = item.tags
    answer[#answer + 1] = tostring(item.added)
    answer[#answer + 1] = tostring(item.accessed)
    answer[#answer + 1] = tostring(item.accesses)
    answer[#answer + 1] = tostring(item.order)
  end
end
return answer
