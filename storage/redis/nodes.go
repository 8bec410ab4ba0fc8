package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"
)

// nodes is what this node knows of all that share Redis. Each reports there every now
// and then, and is missing once its last report has expired.
//
// Two rules make the nodes agree when one of them is cut off from a Redis that others
// reach. A node that can't reach Redis waits before it shows or acknowledges anything,
// until every other one has noticed that it is missing. And a node that has noticed so,
// or has not asked lately, believes nothing that Redis says of uploads, and reads from
// the store instead. So what a node acknowledges that Redis was not told of, no other
// one contradicts.
//
// A node that is missing for long is not waited for any more, and all that Redis was
// told in the meantime counts as forgotten: the epoch changes, of which each state knows
// the one it is from.
type nodes struct {
	id     string        // of this process
	ttl    time.Duration // how long a report counts
	valid  time.Duration // how long it counts that a node has found all others there
	alone  time.Duration // after how long without a report all others have noticed
	forget time.Duration // how long a missing node is waited for

	asking sync.Mutex // held by the one call that reports

	mu       sync.Mutex
	deadline int64     // until when Redis takes the next report, in its own milliseconds
	asked    time.Time // when the last report that was answered was sent
	answered time.Time // and when its answer came
	counted  bool      // this node was there then
	others   []string  // that were there, by id
	version  int64     // of the list of others
	remind   bool      // Redis has forgotten the nodes, and has to be told of the others
	missing  int       // how many of the others are
	since    time.Time // they are
	logged   bool      // that was said
	epoch    string
}

// forgetAfter is how long the others wait for a node that is missing: longer than most
// partitions last, and no longer than reading from the store should cost after a crash.
const forgetAfter = 10 * time.Minute

// init takes how often a node reports. A report that is sent at the last moment at which
// Redis takes it counts for a ttl more; and the others may have asked just before that.
func (n *nodes) init(every time.Duration) {
	n.id = rand.Text()
	n.ttl, n.valid, n.forget = 6*every, 3*every, forgetAfter
	n.alone = 2*n.ttl + n.valid + every
}

// reportScript has a node count as there, unless the report comes late. It returns the
// time, the epoch, whether the node was there before, the version of the list of nodes,
// the nodes that are missing, and all nodes if the caller has another version. One that
// has left stands there for a while with a "-" before its id.
//
// ARGV: id, deadline, ttl, how long to wait for a missing node, lifetime of the keys, "1"
// for a new epoch, the version that the caller has, and nodes of which Redis is to be
// reminded: those that it does not know are missing from now on.
var reportScript = newScript("report", `
	local nodes, epoch, version, me = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
	local time = redis.call("TIME")
	local now = time[1] * 1000 + math.floor(time[2] / 1000)
	local function at(ms) return string.format("%.0f", ms) end
	local function there(id) return redis.call("ZSCORE", nodes, id) end

	local before, changes = there(me) and 1 or 0, 0
	if now <= tonumber(ARGV[2]) then
		changes = redis.call("ZADD", nodes, at(now + ARGV[3]), me) + redis.call("ZREM", nodes, "-" .. me)
		if ARGV[6] == "1" then redis.call("SET", epoch, at(now)) end
	end
	for i = 8, #ARGV do
		if not there(ARGV[i]) and not there("-" .. ARGV[i]) then
			changes = changes + redis.call("ZADD", nodes, at(now), ARGV[i])
		end
	end
	for _, id in ipairs(redis.call("ZRANGEBYSCORE", nodes, "-inf", at(now - ARGV[4]))) do
		redis.call("ZREM", nodes, id)
		if string.sub(id, 1, 1) ~= "-" then
			redis.call("ZADD", nodes, at(now), "-" .. id)
			redis.call("SET", epoch, at(now))
		end
		changes = changes + 1
	end
	if changes > 0 then redis.call("INCR", version) end
	for _, key in ipairs(KEYS) do redis.call("PEXPIRE", key, ARGV[5]) end

	local function others(ids)
		local out = {}
		for _, id in ipairs(ids) do
			if id ~= me and string.sub(id, 1, 1) ~= "-" then out[#out + 1] = id end
		end
		return out
	end
	local current, all = redis.call("GET", version) or "0", {}
	if current ~= ARGV[7] then all = others(redis.call("ZRANGE", nodes, 0, -1)) end
	return {now, redis.call("GET", epoch) or "", before, tonumber(current),
		others(redis.call("ZRANGEBYSCORE", nodes, "-inf", at(now))), all}`)

// leaveScript notes that a node goes, and has told Redis all it had to.
//
// ARGV: id.
var leaveScript = newScript("leave", `
	local time = redis.call("TIME")
	redis.call("ZREM", KEYS[1], ARGV[1])
	redis.call("INCR", KEYS[2])
	return redis.call("ZADD", KEYS[1], string.format("%.0f", time[1] * 1000), "-" .. ARGV[1])`)

var nodeKeys = []string{"nodes", "epoch", "version"}

// report tells Redis that this node is there, and learns which others are. The first
// report, and one after a while in which Redis was away, only asks for the time by which
// the next has to come; and one that finds Redis to have forgotten this node is followed
// by one that reminds it of the others.
func (r *Redis) report(ctx context.Context) error {
	n := &r.nodes
	n.asking.Lock()
	defer n.asking.Unlock()
	for range 3 {
		sent := time.Now()
		c, renews := r.reportCall()
		reply, err := r.run(ctx, c)
		if err != nil {
			return err
		}
		now, err := parseReport(reply)
		if err != nil {
			return err
		}
		if r.learn(now, sent) {
			r.health.epochRenewed(renews)
			return nil
		}
	}
	return nil
}

func (r *Redis) reportCall() (c call, renews bool) {
	n := &r.nodes
	renew := ""
	if renews = r.health.wantsNewEpoch(); renews {
		renew = "1"
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	args := []any{n.id, n.deadline, n.ttl.Milliseconds(), n.forget.Milliseconds(), (2*r.opts.StateTTL + n.forget).Milliseconds(), renew, n.version}
	if n.remind {
		for _, id := range n.others {
			args = append(args, id)
		}
	}
	return call{script: reportScript, names: nodeKeys, args: args}, renews
}

// reported is what Redis answers to a report.
type reported struct {
	now          int64
	epoch        string
	before       bool // this node was there
	version      int64
	missing, all []any // ids
}

var errReport = errors.New("what Redis says of the nodes makes no sense")

func parseReport(reply any) (now reported, err error) {
	fields, _ := reply.([]any)
	if len(fields) != 6 {
		return now, errReport
	}
	var ok [6]bool
	var before int64
	now.now, ok[0] = fields[0].(int64)
	now.epoch, ok[1] = fields[1].(string)
	before, ok[2] = fields[2].(int64)
	now.version, ok[3] = fields[3].(int64)
	now.missing, ok[4] = fields[4].([]any)
	now.all, ok[5] = fields[5].([]any)
	if ok != [6]bool{true, true, true, true, true, true} {
		return now, errReport
	}
	now.before = before == 1
	return now, nil
}

// learn takes what Redis says of all nodes, and returns whether it can be gone by.
func (r *Redis) learn(now reported, sent time.Time) bool {
	n := &r.nodes
	n.mu.Lock()
	defer n.mu.Unlock()
	inTime := now.now <= n.deadline
	n.deadline, n.answered = now.now+n.ttl.Milliseconds(), time.Now()
	if n.counted && !now.before && !n.remind {
		n.remind, n.version = true, -1
		return false
	}
	n.remind = false
	if now.version != n.version {
		n.version, n.others = now.version, nil
		for _, id := range now.all {
			text, _ := id.(string)
			n.others = append(n.others, text)
		}
	}
	r.logMissing(len(now.missing))
	n.asked, n.counted, n.epoch, n.missing = sent, n.counted || inTime, now.epoch, len(now.missing)
	return inTime
}

// logMissing says once that nodes are missing, if they stay so. The caller holds n.mu.
func (r *Redis) logMissing(missing int) {
	n := &r.nodes
	switch {
	case missing == 0 && n.logged:
		r.opts.Log.Info("no node is missing in Redis any more")
		fallthrough
	case missing == 0:
		n.since, n.logged = time.Time{}, false
	case n.since.IsZero():
		n.since = time.Now()
	case !n.logged && time.Since(n.since) > n.ttl:
		n.logged = true
		r.opts.Log.Warn("a node does not report to Redis any more: uploads are read from the store until it does", "missing", missing, "at_most", n.forget)
	}
}

// lookUp reports if that was long ago, so that what is known of the others counts.
func (r *Redis) lookUp(ctx context.Context) error {
	n := &r.nodes
	n.mu.Lock()
	current := time.Since(n.asked) < n.valid
	n.mu.Unlock()
	if current || r.health.recovering() {
		return nil
	}
	return r.report(ctx)
}

var errMissing = errors.New("a node does not report to Redis, and may have stored what Redis was not told of")

// noneMissing returns nil if every node has reported lately.
func (r *Redis) noneMissing(ctx context.Context) error {
	if err := r.lookUp(ctx); err != nil {
		return err
	}
	n := &r.nodes
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.missing > 0 || time.Since(n.asked) >= n.valid {
		return errMissing
	}
	return nil
}

func (n *nodes) currentEpoch() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.epoch
}

// goAlone waits until all other nodes have noticed that this one is cut off, or Redis
// answers again. A node that has never reported is not missed, and does not wait.
func (r *Redis) goAlone(ctx context.Context) {
	n := &r.nodes
	for r.health.down() != nil && ctx.Err() == nil {
		n.mu.Lock()
		left := n.alone - time.Since(n.answered)
		n.mu.Unlock()
		if left <= 0 {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(left, 50*time.Millisecond)):
		}
	}
}

// leave has the others not miss this node, if Redis knows all that it has done.
func (r *Redis) leave() {
	if r.health.down() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, _ = r.execOn(ctx, r.client, call{script: leaveScript, names: []string{"nodes", "version"}, args: []any{r.nodes.id}}) // or else they wait for it
	}
}
