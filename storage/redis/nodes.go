package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"
)

// nodes is what this node knows of all nodes that share Redis. Each reports to Redis at
// intervals, and is missing once its last report has expired.
//
// Two rules keep nodes consistent when one is cut off from a Redis that others reach. A node
// that cannot reach Redis shows and acknowledges nothing until all others must have noticed
// that it is missing. A node that has noticed a missing one, or has not reported lately,
// does not trust the cache, and loads from the store. So no node contradicts what a cut-off
// one has acknowledged.
//
// A node that is missing for long is given up. Then everything cached in the meantime is
// invalidated by a new epoch: each state records the epoch that it is from.
type nodes struct {
	id            string        // of this process
	ttl           time.Duration // how long a report counts
	valid         time.Duration // how long the reply to a report counts
	isolatedAfter time.Duration // without a report for this long, all other nodes have noticed
	forget        time.Duration // how long a missing node is waited for

	reporting sync.Mutex // held by the call that reports

	mu            sync.Mutex
	deadline      int64     // until when Redis accepts the next report, in its own Unix milliseconds
	reportedAt    time.Time // when the last successful report was sent
	repliedAt     time.Time // when its reply arrived
	registered    bool      // Redis has accepted a report of this node
	others        []string  // ids of the other nodes
	version       int64     // of the list of nodes
	restore       bool      // Redis has lost the list of nodes; the next report restores it
	missing       int       // number of missing nodes
	missingSince  time.Time // when the first went missing
	missingLogged bool
	epoch         string
}

// maxNodeAbsence is how long the other nodes wait for a missing one: longer than most
// partitions last, but no longer than reads from the store are acceptable after a crash.
const maxNodeAbsence = 10 * time.Minute

// init takes the interval between reports. A report sent just before its deadline counts for
// another ttl, and other nodes may have reported just before that.
func (n *nodes) init(interval time.Duration) {
	n.id = rand.Text()
	n.ttl, n.valid, n.forget = 6*interval, 3*interval, maxNodeAbsence
	n.isolatedAfter = 2*n.ttl + n.valid + interval
}

// reportScript registers a node as present, unless the report is late. It returns the time,
// the epoch, whether the node was registered before, the version of the list of nodes, the
// missing nodes, and, if the caller has another version, all nodes. A node that has left
// stays in the list for a while with a "-" before its id.
//
// ARGV: id, deadline, ttl, how long to wait for a missing node, TTL of the keys, "1" for a
// new epoch, the caller's version, and the ids of nodes to restore. Those that Redis does
// not know are missing from then on.
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

// leaveScript removes a node that shuts down with no calls deferred.
//
// ARGV: id.
var leaveScript = newScript("leave", `
	local time = redis.call("TIME")
	redis.call("ZREM", KEYS[1], ARGV[1])
	redis.call("INCR", KEYS[2])
	return redis.call("ZADD", KEYS[1], string.format("%.0f", time[1] * 1000), "-" .. ARGV[1])`)

var nodeKeys = []string{"nodes", "epoch", "version"}

// report registers this node, and learns the others. The first report, and one after an
// outage, only gets the deadline for the next. One that finds that Redis has lost the list
// is followed by one that restores it.
func (r *Redis) report(ctx context.Context) error {
	n := &r.nodes
	n.reporting.Lock()
	defer n.reporting.Unlock()
	for range 3 {
		sent := time.Now()
		c, renews := r.reportCall()
		reply, err := r.run(ctx, c)
		if err != nil {
			return err
		}
		report, err := parseReport(reply)
		if err != nil {
			return err
		}
		if r.applyReport(report, sent) {
			r.health.epochRenewed(renews)
			return nil
		}
	}
	return nil
}

func (r *Redis) reportCall() (c call, renews bool) {
	n := &r.nodes
	renew := ""
	if renews = r.health.needsNewEpoch(); renews {
		renew = "1"
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	args := []any{n.id, n.deadline, n.ttl.Milliseconds(), n.forget.Milliseconds(), (2*r.opts.StateTTL + n.forget).Milliseconds(), renew, n.version}
	if n.restore {
		for _, id := range n.others {
			args = append(args, id)
		}
	}
	return call{script: reportScript, names: nodeKeys, args: args}, renews
}

// nodeReport is the reply to a report.
type nodeReport struct {
	now          int64
	epoch        string
	before       bool // this node was registered
	version      int64
	missing, all []any // ids
}

var errReport = errors.New("unexpected reply to the node report script")

func parseReport(reply any) (now nodeReport, err error) {
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

// applyReport takes over the reply to a report, and returns whether it is valid.
func (r *Redis) applyReport(now nodeReport, sent time.Time) bool {
	n := &r.nodes
	n.mu.Lock()
	defer n.mu.Unlock()
	inTime := now.now <= n.deadline
	n.deadline, n.repliedAt = now.now+n.ttl.Milliseconds(), time.Now()
	if n.registered && !now.before && !n.restore {
		n.restore, n.version = true, -1
		return false
	}
	n.restore = false
	if now.version != n.version {
		n.version, n.others = now.version, nil
		for _, id := range now.all {
			text, _ := id.(string)
			n.others = append(n.others, text)
		}
	}
	r.logMissing(len(now.missing))
	n.reportedAt, n.registered, n.epoch, n.missing = sent, n.registered || inTime, now.epoch, len(now.missing)
	return inTime
}

// logMissing logs once that nodes are missing, if they stay so. The caller holds n.mu.
func (r *Redis) logMissing(missing int) {
	n := &r.nodes
	switch {
	case missing == 0 && n.missingLogged:
		r.opts.Log.Info("all nodes report to Redis again")
		fallthrough
	case missing == 0:
		n.missingSince, n.missingLogged = time.Time{}, false
	case n.missingSince.IsZero():
		n.missingSince = time.Now()
	case !n.missingLogged && time.Since(n.missingSince) > n.ttl:
		n.missingLogged = true
		r.opts.Log.Warn("a node stopped reporting to Redis: bypassing the cache until it returns", "missing", missing, "at_most", n.forget)
	}
}

// refreshNodes reports if the last report is too old to rely on.
func (r *Redis) refreshNodes(ctx context.Context) error {
	n := &r.nodes
	n.mu.Lock()
	current := time.Since(n.reportedAt) < n.valid
	n.mu.Unlock()
	if current || r.health.recovering() {
		return nil
	}
	return r.report(ctx)
}

var errNodeMissing = errors.New("a node is not reporting to Redis, so the cache may be stale")

// checkNodes returns nil if every node has reported lately.
func (r *Redis) checkNodes(ctx context.Context) error {
	if err := r.refreshNodes(ctx); err != nil {
		return err
	}
	n := &r.nodes
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.missing > 0 || time.Since(n.reportedAt) >= n.valid {
		return errNodeMissing
	}
	return nil
}

func (n *nodes) currentEpoch() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.epoch
}

// awaitIsolation waits until all other nodes must have noticed that this one is cut off, or
// Redis works again. A node that has never reported does not wait.
func (r *Redis) awaitIsolation(ctx context.Context) {
	n := &r.nodes
	for r.health.down() != nil && ctx.Err() == nil {
		n.mu.Lock()
		left := n.isolatedAfter - time.Since(n.repliedAt)
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

// leave removes this node from the list, if it has no calls deferred, so that the others do
// not wait for it.
func (r *Redis) leave() {
	if r.health.down() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, _ = r.execOn(ctx, r.client, call{script: leaveScript, names: []string{"nodes", "version"}, args: []any{r.nodes.id}}) // on failure they wait until it expires
	}
}
