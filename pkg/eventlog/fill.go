package eventlog

import (
	"context"
	"fmt"
)

// Fill gives how many bytes the stream takes of the disk of each server that has it, and
// how many it may take: when that is reached, it refuses every event until it is trimmed or
// may take more. most is 0 for a stream without a bound.
func (l *Log) Fill(ctx context.Context) (bytes, most uint64, err error) {
	info, err := l.stream.Info(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("ask how full the log is: %w", err)
	}
	return info.State.Bytes, uint64(max(info.Config.MaxBytes, 0)), nil
}
