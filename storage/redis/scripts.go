package redis

// The scripts of the cache compare offsets as hexadecimal text of one length, because the
// numbers of Lua are exact up to 2^53 only.

// luaState begins every script. It deletes state from another run of Redis, or on a promoted
// replica, which may have been restored from an older copy, and state of another epoch than
// the caller's, the last argument of every script.
const luaState = `
	local state, extent = KEYS[1], "p:"
	local info = redis.pcall("INFO", "server")
	local run = type(info) == "string" and string.match(info, "run_id:(%w+)") or ""
	run = run .. " " .. ARGV[#ARGV]
	local before = redis.call("HGET", state, "run")
	if before and before ~= run then
		redis.call("DEL", state)
	end

	-- read returns the hash of the upload, or false
	local function read()
		local all = redis.call("HGETALL", state)
		for i = 1, #all, 2 do
			if all[i] == "record" then return all end
		end
		return false
	end

	local function reply(ttl, touched)
		local last = redis.call("HGET", state, "touched")
		if not last or tonumber(touched) > tonumber(last) then
			redis.call("HSET", state, "touched", touched)
		end
		redis.call("PEXPIRE", state, ttl)
		return read()
	end
`

// luaRanges are functions on ranges, of 32 characters for start and end, and on sets, of any
// number of disjoint, non-adjacent ranges in ascending order.
const luaRanges = `
	local function bounds(set, i)
		return string.sub(set, i + 1, i + 16), string.sub(set, i + 17, i + 32)
	end

	-- near returns the first range of a set that ends after an offset
	local function near(set, offset)
		local low, high = 0, #set / 32
		while low < high do
			local middle = math.floor((low + high) / 2)
			local _, e = bounds(set, middle * 32)
			if e > offset then
				high = middle
			else
				low = middle + 1
			end
		end
		return bounds(set, low * 32)
	end

	local function overlaps(set, s, e)
		local near_s = near(set, s)
		return near_s ~= "" and near_s < e
	end

	local function contains(set, s, e)
		local near_s, near_e = near(set, s)
		return near_s ~= "" and near_s <= s and e <= near_e
	end

	local function union(a, b)
		local out, i, j, s, e = {}, 0, 0, nil, ""
		while i < #a or j < #b do
			local next_s, next_e
			if j >= #b or i < #a and bounds(a, i) < bounds(b, j) then
				next_s, next_e = bounds(a, i)
				i = i + 32
			else
				next_s, next_e = bounds(b, j)
				j = j + 32
			end
			if s and next_s <= e then
				if next_e > e then e = next_e end
			else
				if s then out[#out + 1] = s .. e end
				s, e = next_s, next_e
			end
		end
		if s then out[#out + 1] = s .. e end
		return table.concat(out)
	end

	-- each calls a function with the field and the range of every extent
	local function each(f)
		local all = redis.call("HGETALL", state)
		for i = 1, #all, 2 do
			if string.sub(all[i], 1, 2) == extent then
				f(all[i], bounds(all[i + 1], 0))
			end
		end
	end

	local function forget_covered(s, e)
		each(function(field, extent_s, extent_e)
			if extent_s < extent_e and s <= extent_s and extent_e <= e then
				redis.call("HDEL", state, field)
			end
		end)
	end
`

// appendScript adds an extent to an upload that is cached, removes those that it covers, and
// returns the new state.
//
// ARGV: TTL, time, range, name, metadata.
var appendScript = newScript("add", luaState+luaRanges+`
	if redis.call("HEXISTS", state, "record") == 0 then
		return false
	end
	local range, name, tag = ARGV[3], ARGV[4], ARGV[5]
	local s, e = bounds(range, 0)
	local received = redis.call("HGET", state, "received")
	if s < e then
		if name ~= "" and overlaps(received, s, e) then
			forget_covered(s, e)
		end
		if not contains(received, s, e) then
			redis.call("HSET", state, "received", union(received, range))
		end
	end
	if name ~= "" then
		redis.call("HSET", state, extent .. name, range .. tag)
	end
	return reply(ARGV[1], ARGV[2])`)

// generationScript returns the generation of the cached state: while it is the same, nothing
// was lost or invalidated.
//
// ARGV: a new generation, its TTL while there is no state.
var generationScript = newScript("begin", luaState+`
	local generation = redis.call("HGET", state, "begun")
	if not generation then
		generation = ARGV[1]
		redis.call("HSET", state, "begun", generation, "run", run)
	end
	if redis.call("HEXISTS", state, "record") == 0 then
		redis.call("PEXPIRE", state, ARGV[2])
	end
	return generation`)

// storeScript merges loaded state into the cached state, and returns the result, or nothing
// if the generation has changed. Cached extents that were not loaded are kept: they were
// stored since. A known size stays.
//
// ARGV: TTL, time, record, size, received, the generation, and for each extent its name and
// its range with its metadata.
var storeScript = newScript("put", luaState+luaRanges+`
	if redis.call("EXISTS", KEYS[2]) == 1 then
		return "over"
	end
	if redis.call("HGET", state, "begun") ~= ARGV[6] then
		return false
	end
	local size, received = ARGV[4], ARGV[5]
	local since = {}
	if redis.call("HEXISTS", state, "record") == 1 then
		each(function(field, s, e)
			if s < e and contains(received, s, e) then
				redis.call("HDEL", state, field)
			else
				since[#since + 1] = {field, s, e, redis.call("HGET", state, field)}
			end
		end)
		if size == "-1" then
			size = redis.call("HGET", state, "size")
		end
		redis.call("HSET", state, "received", union(redis.call("HGET", state, "received"), received))
	else
		redis.call("HSET", state, "received", received)
	end
	redis.call("HSET", state, "record", ARGV[3], "size", size)
	for i = 7, #ARGV - 1, 2 do
		redis.call("HSET", state, extent .. ARGV[i], ARGV[i + 1])
	end
	for _, p in ipairs(since) do
		if p[2] < p[3] and overlaps(received, p[2], p[3]) then
			forget_covered(p[2], p[3])
		end
		redis.call("HSET", state, p[1], p[4])
	end
	return reply(ARGV[1], ARGV[2])`)

// getScript returns the cached state.
var getScript = newScript("get", luaState+`
	return read()`)

// invalidateScript removes the state of an upload, and prevents that it is cached for a
// while.
var invalidateScript = newScript("drop", `
	redis.call("SET", KEYS[2], "1", "PX", ARGV[1])
	return redis.call("DEL", KEYS[1])`)

// forgetScript removes state that may be stale.
var forgetScript = newScript("forget", `return redis.call("DEL", KEYS[1])`)
