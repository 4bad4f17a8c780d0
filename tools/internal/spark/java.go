package spark

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// leastJava is the oldest Java that Spark is tried with.
const leastJava = 17

// lookTimeout bounds a question to a program that is there.
const lookTimeout = 30 * time.Second

// checkJava checks that Spark will find a Java that is new enough, where Spark itself
// looks for it: in JAVA_HOME, else on the path.
func checkJava(ctx context.Context) error {
	const help = "install Java 17, such as openjdk-17-jre-headless, or go on without the local Spark"
	name, where := "java", "on the path"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		name, where = filepath.Join(home, "bin", "java"), "in JAVA_HOME"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("there is no Java for Spark %s (%w): %s", where, err, help)
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "-version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s -version: %w: %s: %s", path, err, out, help)
	}
	if release := javaRelease(string(out)); release < leastJava {
		return fmt.Errorf("%s is of release %d, Spark is run with %d: %s", path, release, leastJava, help)
	}
	return nil
}

// javaVersion is what java -version begins with: version "17.0.2", or "1.8.0_392".
var javaVersion = regexp.MustCompile(`version "(?:1\.)?([0-9]+)`)

// javaRelease reads the release; 0 if the text tells none.
func javaRelease(text string) int {
	m := javaVersion.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1]) // digits alone
	return n
}
