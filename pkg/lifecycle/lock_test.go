package lifecycle

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestMain plays the other process: it holds a folder until it is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BLOTTER_TEST_HOLD"); dir != "" {
		if _, err := LockFolder(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		select {}
	}
	os.Exit(m.Run())
}

func TestAFolderHasOneHolder(t *testing.T) {
	dir := t.TempDir()
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), "BLOTTER_TEST_HOLD="+dir)
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "held\n" {
		t.Fatalf("the other process says %q (%v)", line, err)
	}
	_, err = LockFolder(dir)
	var held *HeldError
	if !errors.Is(err, ErrFolderHeld) || !errors.As(err, &held) || held.PID != other.Process.Pid {
		t.Fatalf("got %v, want a HeldError of process %d", err, other.Process.Pid)
	}
	if !strings.Contains(err.Error(), fmt.Sprint(held.PID)) || !strings.Contains(err.Error(), dir) {
		t.Errorf("the message does not say who and where: %v", err)
	}
	// A process that is killed leaves its file behind, but no lock.
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait() // an error by its nature: it was killed
	lock, err := LockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Unlock(); err != nil {
		t.Error(err)
	}
	if again, err := LockFolder(dir); err != nil {
		t.Error(err)
	} else if err := again.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestTheSecondSignalIsNotCaught(t *testing.T) {
	ctx, stop := Signals(context.Background())
	defer stop()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if ctx.Err() == nil {
		t.Error("the context goes on after a signal")
	}
}
