package spark

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/lifecycle"
	"github.com/openblotter/blotter/services/glue-dispatcher/job"
)

// PythonVariable names a Python that has the packages already.
const PythonVariable = "BLOTTER_SPARK_PYTHON"

// installTimeout bounds the making of the environment: some 400 MB are fetched and
// unpacked, which takes a busy machine ten minutes and more.
const installTimeout = 30 * time.Minute

// Python gives the path of a Python with the packages that the job needs: the one
// that PythonVariable names, else one in the user's cache, which is made if it is
// not there. That needs Python 3.11 with venv and, the first time, its package
// index. It checks that the Java is there, too, which the packages start.
func Python(ctx context.Context, logger *slog.Logger) (string, error) {
	if err := checkJava(ctx); err != nil {
		return "", err
	}
	if path := os.Getenv(PythonVariable); path != "" {
		return path, checkPython(ctx, path)
	}
	pins, err := job.Files.ReadFile("requirements.txt")
	if err != nil {
		return "", fmt.Errorf("read what the job requires: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the folder for Python packages: %w", err)
	}
	sum := sha256.Sum256(pins)
	dir := filepath.Join(cache, "blotter", "spark-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the folder for Python packages: %w", err)
	}
	lock, err := lifecycle.LockFolder(dir)
	if err != nil {
		return "", fmt.Errorf("another process makes the Python environment: %w", err)
	}
	path, err := environment(ctx, dir, pins, logger)
	return path, errors.Join(err, lock.Unlock())
}

// checkPython checks that the Python of the environment variable has PySpark.
func checkPython(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "-c", "import importlib.metadata as m; m.version('pyspark'); m.version('pyarrow')").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s names %s, which is no Python with the packages of services/glue-dispatcher/job/requirements.txt: %w: %s", PythonVariable, path, err, out)
	}
	return nil
}

// checkRows checks that the program of RowsVariable is there, runs on this machine and is
// the one for rows: it says which commands it has.
func checkRows(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, path).CombinedOutput()
	if exited := (*exec.ExitError)(nil); errors.As(err, &exited) && bytes.Contains(out, []byte(rows.NoCommand)) {
		return nil
	}
	if err == nil {
		err = errors.New("it ended well without having anything to do")
	}
	return fmt.Errorf("%s names %s, which is no program for rows that runs here (%w): build services/glue-dispatcher/job/rows for this machine, or unset %s",
		RowsVariable, path, err, RowsVariable)
}

// environment makes the environment unless it is whole.
func environment(ctx context.Context, dir string, pins []byte, logger *slog.Logger) (string, error) {
	venv := filepath.Join(dir, "venv")
	path, ready := filepath.Join(venv, "bin", "python"), filepath.Join(dir, "ready")
	if _, err := os.Stat(ready); err == nil {
		return path, nil
	}
	python, err := exec.LookPath("python3.11")
	if err != nil {
		return "", fmt.Errorf("there is no python3.11 on the path (%w): install Python 3.11 with its venv module, or set %s to a Python with the packages of services/glue-dispatcher/job/requirements.txt", err, PythonVariable)
	}
	list := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(list, pins, 0o644); err != nil {
		return "", fmt.Errorf("write what the job requires: %w", err)
	}
	logger.WarnContext(ctx, "the Python packages for Spark are fetched, this once; that are some 400 MB", "folder", dir)
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	for _, command := range [][]string{
		{python, "-m", "venv", "--clear", venv},
		{path, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", list},
	} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("it took longer than %s, or was stopped", installTimeout)
			}
			return "", fmt.Errorf("make the Python environment for Spark in %s (the next start tries again): %s: %w: %s", dir, strings.Join(command, " "), err, bytes.TrimSpace(out))
		}
	}
	return path, os.WriteFile(ready, nil, 0o644)
}
