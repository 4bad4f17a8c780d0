package spark

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/openblotter/blotter/pkg/lifecycle"
	"github.com/openblotter/blotter/services/glue-dispatcher/job"
)

// PythonVariable names a Python that has the packages already.
const PythonVariable = "BLOTTER_SPARK_PYTHON"

// installTimeout bounds the making of the environment: some 400 MB are fetched.
const installTimeout = 10 * time.Minute

// Python gives the path of a Python with the packages that the job needs: the one
// that PythonVariable names, else one in the user's cache, which is made if it is
// not there. That needs Python 3.11 with venv and, the first time, its package
// index.
func Python(ctx context.Context) (string, error) {
	if path := os.Getenv(PythonVariable); path != "" {
		return path, nil
	}
	if _, err := exec.LookPath("java"); err != nil {
		return "", fmt.Errorf("find Java 17 for Spark: %w", err)
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
	path, err := environment(ctx, dir, pins)
	return path, errors.Join(err, lock.Unlock())
}

// environment makes the environment unless it is whole.
func environment(ctx context.Context, dir string, pins []byte) (string, error) {
	venv := filepath.Join(dir, "venv")
	path, ready := filepath.Join(venv, "bin", "python"), filepath.Join(dir, "ready")
	if _, err := os.Stat(ready); err == nil {
		return path, nil
	}
	python, err := exec.LookPath("python3.11")
	if err != nil {
		return "", fmt.Errorf("find Python 3.11, or set %s to a Python with the packages of requirements.txt: %w", PythonVariable, err)
	}
	list := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(list, pins, 0o644); err != nil {
		return "", fmt.Errorf("write what the job requires: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	for _, command := range [][]string{
		{python, "-m", "venv", "--clear", venv},
		{path, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", list},
	} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("make the Python environment for Spark: %v: %w: %s", command, err, out)
		}
	}
	return path, os.WriteFile(ready, nil, 0o644)
}
