package redis

// luaState begins every script. It deletes state from another run of Redis, or on a promoted
// replica, which may have been restored from an older copy, state of another epoch than the
// caller's, the last argument of every script, and state in another format.
const luaState = `
	local state = KEYS[1]
	local info = redis.pcall("INFO", "server")
	local run = type(info) == "string" and string.match(info, "run_id:(%w+)") or ""
	run = run .. " " .. ARGV[#ARGV] .. " 2"
	local before = redis.call("HGET", state, "run")
	if before and before ~= run then
		redis.call("DEL", state)
	end

	local function touch(ttl, touched)
		local last = redis.call("HGET", state, "touched")
		if not last or tonumber(touched) > tonumber(last) then
			redis.call("HSET", state, "touched", touched)
		end
		redis.call("PEXPIRE", state, ttl)
	end

	-- answer returns what the caller lacks: the changes since the one that it knows, if it
	-- knows this generation and they are few, or else everything; false if there is no state
	local function answer(generation, known)
		local head = redis.call("HMGET", state, "record", "begun", "base", "seq", "size", "touched")
		if not head[1] then return false end
		local base, seq = tonumber(head[3]), tonumber(head[4])
		known = tonumber(known)
		if head[2] ~= generation or known < base or known > seq or seq - known > 1000 then
			local all = redis.call("HGETALL", state)
			table.insert(all, 1, "all")
			return all
		end
		local out, numbers = {"since", head[4], head[5], head[6]}, {}
		for i = known + 1, seq do numbers[#numbers + 1] = i end
		if #numbers > 0 then
			for _, change in ipairs(redis.call("HMGET", state, unpack(numbers))) do
				out[#out + 1] = change
			end
		end
		return out
	end
`

// appendScript adds an extent to an upload that is cached, and returns what the caller lacks.
// Otherwise it ends the generation, because what is being loaded may lack the extent.
//
// ARGV: TTL, time, the extent, the generation and the number of the last change that the
// caller knows.
var appendScript = newScript("add", luaState+`
	if redis.call("HEXISTS", state, "record") == 0 then
		redis.call("DEL", state)
		return false
	end
	redis.call("HSET", state, redis.call("HINCRBY", state, "seq", 1), ARGV[3])
	touch(ARGV[1], ARGV[2])
	return answer(ARGV[4], ARGV[5])`)

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

// storeScript replaces the state by one that includes it: what was loaded, merged with the
// state that the caller has read. It returns the number of the last change, or nothing if the
// generation has changed, or "changed" if the state has.
//
// ARGV: TTL, time, record, size, received, extents, the generation, and the number of the
// last change that the state includes, "" if there was no state.
var storeScript = newScript("put", luaState+`
	if redis.call("EXISTS", KEYS[2]) == 1 then
		return "over"
	end
	local head = redis.call("HMGET", state, "begun", "record", "seq")
	if head[1] ~= ARGV[7] then
		return false
	end
	local seq = head[2] and head[3] or ""
	if seq ~= ARGV[8] then
		return "changed"
	end
	seq = seq == "" and 0 or tonumber(seq) + 1
	redis.call("DEL", state)
	redis.call("HSET", state, "run", run, "begun", ARGV[7], "record", ARGV[3], "size", ARGV[4],
		"received", ARGV[5], "extents", ARGV[6], "base", seq, "seq", seq)
	touch(ARGV[1], ARGV[2])
	return seq`)

// getScript returns what the caller lacks.
//
// ARGV: the generation and the number of the last change that the caller knows.
var getScript = newScript("get", luaState+`
	return answer(ARGV[1], ARGV[2])`)

// invalidateScript removes the state of an upload, and prevents that it is cached for a
// while.
var invalidateScript = newScript("drop", `
	redis.call("SET", KEYS[2], "1", "PX", ARGV[1])
	return redis.call("DEL", KEYS[1])`)

// forgetScript removes state that may be stale.
var forgetScript = newScript("forget", `return redis.call("DEL", KEYS[1])`)
