package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
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
	known    []string  // the nodes that were there, but for this one
	missing  int       // how many of them are
	epoch    string
}

// forgetAfter is how long the others wait for a node that is missing: longer than most
// partitions last, and no longer than reading from the store should cost after a crash.
const forgetAfter = 10 * time.Minute

// init takes how often a node reports. A report that is sent at the last moment at which
// Redis takes it counts for a ttl more; and the others may have asked just before that.
func (n *nodes) init(every time.Duration) {
	n.id = rand.Text()
	n.ttl, n.valid, n.forget = 4*every, 3*every, forgetAfter
	n.alone = 2*n.ttl + n.valid + every
}

// reportScript has a node count as there, unless the report comes late, and returns the
// time, the epoch, and all nodes with the time until which they are there. Those that are
// known to the caller and not to Redis, which may have forgotten them, are missing from
// now on. One that has left stands there for a while with a "-" before its id.
//
// ARGV: id, deadline, ttl, how long to wait for a missing node, lifetime of the keys, "1"
// for a new epoch, and the ids of the nodes that the caller knows.
var reportScript = newScript("report", `
	local nodes, epoch, me = KEYS[1], KEYS[2], ARGV[1]
	local time = redis.call("TIME")
	local now = time[1] * 1000 + math.floor(time[2] / 1000)
	local function at(ms) return string.format("%.0f", ms) end

	if now <= tonumber(ARGV[2]) then
		redis.call("ZADD", nodes, at(now + ARGV[3]), me)
		redis.call("ZREM", nodes, "-" .. me)
		if ARGV[6] == "1" then redis.call("SET", epoch, at(now)) end
	end
	for i = 7, #ARGV do
		if not redis.call("ZSCORE", nodes, ARGV[i]) and not redis.call("ZSCORE", nodes, "-" .. ARGV[i]) then
			redis.call("ZADD", nodes, at(now), ARGV[i])
		end
	end
	for _, id in ipairs(redis.call("ZRANGEBYSCORE", nodes, "-inf", at(now - ARGV[4]))) do
		redis.call("ZREM", nodes, id)
		if string.sub(id, 1, 1) ~= "-" then
			redis.call("ZADD", nodes, at(now), "-" .. id)
			redis.call("SET", epoch, at(now))
		end
	end
	redis.call("PEXPIRE", nodes, ARGV[5])
	redis.call("PEXPIRE", epoch, ARGV[5])
	return {now, redis.call("GET", epoch) or "", redis.call("ZRANGE", nodes, 0, -1, "WITHSCORES")}`)

// leaveScript notes that a node goes, and has told Redis all it had to.
//
// ARGV: id.
var leaveScript = newScript("leave", `
	local time = redis.call("TIME")
	redis.call("ZREM", KEYS[1], ARGV[1])
	return redis.call("ZADD", KEYS[1], string.format("%.0f", time[1] * 1000), "-" .. ARGV[1])`)

var nodeKeys = []string{"nodes", "epoch"}

// report tells Redis that this node is there, and learns which others are. The first
// report, and one after a while in which Redis was away, only asks for the time by which
// the second has to come.
func (r *Redis) report(ctx context.Context) error {
	n := &r.nodes
	n.asking.Lock()
	defer n.asking.Unlock()
	for range 2 {
		sent := time.Now()
		c, renewing := r.reportCall()
		reply, err := r.run(ctx, c)
		if err != nil {
			return err
		}
		counted, err := r.learn(reply, sent)
		if err != nil {
			return err
		}
		if counted {
			r.health.epochRenewed(renewing)
			return nil
		}
	}
	return nil
}

func (r *Redis) reportCall() (c call, renewing bool) {
	n := &r.nodes
	renew := ""
	if renewing = r.health.wantsNewEpoch(); renewing {
		renew = "1"
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	args := []any{n.id, n.deadline, n.ttl.Milliseconds(), n.forget.Milliseconds(), (2*r.opts.StateTTL + n.forget).Milliseconds(), renew}
	for _, id := range n.known {
		args = append(args, id)
	}
	return call{script: reportScript, names: nodeKeys, args: args}, renewing
}

var errReport = errors.New("the nodes in Redis are not what they should be")

// learn takes what Redis says of all nodes, and returns whether this one counts as there.
func (r *Redis) learn(reply any, sent time.Time) (counted bool, err error) {
	n := &r.nodes
	now, epoch, until, err := parseNodes(reply)
	if err != nil {
		return false, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	before := n.missing
	n.deadline, n.asked, n.answered, n.epoch = now+n.ttl.Milliseconds(), sent, time.Now(), epoch
	n.known, n.missing = nil, 0
	for id, end := range until {
		switch {
		case id == n.id:
			counted = end > float64(now)
			continue
		case strings.HasPrefix(id, "-"):
			continue
		case end <= float64(now):
			n.missing++
		}
		n.known = append(n.known, id)
	}
	if n.missing > 0 && before == 0 {
		r.opts.Log.Warn("a node does not report to Redis any more: uploads are read from the store until it does", "missing", n.missing, "at most", n.forget)
	} else if n.missing == 0 && before > 0 {
		r.opts.Log.Info("no node is missing in Redis any more")
	}
	return counted, nil
}

func parseNodes(reply any) (now int64, epoch string, until map[string]float64, err error) {
	fields, _ := reply.([]any)
	if len(fields) != 3 {
		return 0, "", nil, errReport
	}
	now, ok1 := fields[0].(int64)
	epoch, ok2 := fields[1].(string)
	list, ok3 := fields[2].([]any)
	if !ok1 || !ok2 || !ok3 || len(list)%2 != 0 {
		return 0, "", nil, errReport
	}
	until = map[string]float64{}
	for i := 0; i < len(list); i += 2 {
		id, _ := list[i].(string)
		if until[id], err = number(list[i+1]); err != nil {
			return 0, "", nil, err
		}
	}
	return now, epoch, until, nil
}

// lookUp reports if that was long ago, so that what is known of the others counts.
func (r *Redis) lookUp(ctx context.Context) error {
	n := &r.nodes
	n.mu.Lock()
	current := time.Since(n.asked) < n.valid
	n.mu.Unlock()
	if current {
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
		_, _ = r.execOn(ctx, r.client, call{script: leaveScript, names: nodeKeys[:1], args: []any{r.nodes.id}}) // or else they wait for it
	}
}

func number(v any) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case string:
		return strconv.ParseFloat(v, 64)
	}
	return 0, errReport
}
