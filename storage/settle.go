package storage

import (
	"context"
	"fmt"
)

// settle brings an upload as far as it can go without more bytes: one that is
// complete is finished, one that is to be concatenated is. Everybody who looks
// at an upload calls it, so that a finish which failed, or whose answer was lost,
// is driven again by whoever comes next.
func (u *Uploads) settle(ctx context.Context, up Upload) (Upload, error) {
	if up.Finished || !up.Complete() && len(up.Parts) == 0 {
		return up, nil
	}
	done, err, _ := u.settling.Do(up.ID, func() (any, error) {
		return u.settleOnce(context.WithoutCancel(ctx), up.ID)
	})
	if err != nil {
		return up, err
	}
	return done.(Upload).Clone(), nil
}

func (u *Uploads) settleOnce(ctx context.Context, id string) (Upload, error) {
	up, err := u.store.Load(ctx, id)
	if err != nil || up.Finished {
		return up, err
	}
	if !up.Complete() && len(up.Parts) > 0 {
		if err := u.concatenate(ctx, up); err != nil {
			return up, err
		}
		if up, err = u.store.Load(ctx, id); err != nil {
			return up, err
		}
	}
	if !up.Complete() {
		return up, fmt.Errorf("finish %s: %w: the index says it has bytes that the store lacks", id, ErrUnavailable)
	}
	if err := u.store.Finish(ctx, up); err != nil {
		return up, err
	}
	u.drop(ctx, id)
	if up, err = u.store.Load(ctx, id); err != nil {
		return up, err
	}
	u.notify(ctx, Finished, up)
	return up, nil
}
