package archive

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// secretPrefix begins the text of every signing key, and of nothing else.
const secretPrefix = "PRIVATE+KEY+"

// NewKey makes a key of this name, which becomes the origin of an archive that it
// begins: one that no other log has, such as "rms.police.example/blotter". An empty
// name is made up.
func NewKey(name string) (secret, public string, err error) {
	if name == "" {
		var b [6]byte
		if _, err := rand.Read(b[:]); err != nil {
			return "", "", fmt.Errorf("name a key: %w", err)
		}
		name = "blotter-" + hex.EncodeToString(b[:])
	}
	if strings.ContainsAny(name, "+ \t\r\n") {
		return "", "", fmt.Errorf("a key cannot be named %q: no spaces, no \"+\"", name)
	}
	if secret, public, err = note.GenerateKey(rand.Reader, name); err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}
	return secret, public, nil
}

// ParseSigner reads a signing key. No error shows it.
func ParseSigner(secret string) (note.Signer, error) {
	s, err := note.NewSigner(strings.TrimSpace(secret))
	if err != nil {
		return nil, fmt.Errorf("it is no signing key: expected one that `blotter audit key --new` made, which begins with %s", secretPrefix)
	}
	return s, nil
}

// PublicOf gives the verifier key that belongs to a signing key.
func PublicOf(secret string) (string, error) {
	secret = strings.TrimSpace(secret)
	if _, err := ParseSigner(secret); err != nil {
		return "", err
	}
	// PRIVATE+KEY+<name>+<hash>+<base64 of the algorithm and the seed>
	parts := strings.SplitN(secret, "+", 5)
	seed, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return "", errors.New("it is a signing key of another kind than Ed25519")
	}
	public, err := note.NewEd25519VerifierKey(parts[2], ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey))
	if err != nil {
		return "", fmt.Errorf("the verifier key: %w", err)
	}
	return public, nil
}

// Keys are verifier keys: whose signatures are believed.
type Keys struct {
	note.Verifiers
	texts []string
}

// ParseKeys reads verifier keys, one a line; empty lines and those that begin with #
// are passed over.
func ParseKeys(text string) (Keys, error) {
	var keys Keys
	var verifiers []note.Verifier
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(line, secretPrefix):
			return keys, errors.New("that is a signing key, which nobody but the writer may have; give the verifier key that `blotter audit key` prints")
		}
		v, err := note.NewVerifier(line)
		if err != nil {
			return keys, fmt.Errorf("%q is no verifier key (%w): expected NAME+HASH+KEY, as `blotter audit key` prints it", line, err)
		}
		if !slices.Contains(keys.texts, line) {
			verifiers, keys.texts = append(verifiers, v), append(keys.texts, line)
		}
	}
	if len(verifiers) == 0 {
		return keys, errors.New("it holds no verifier key")
	}
	keys.Verifiers = note.VerifierList(verifiers...)
	return keys, nil
}

// The files of a key in a folder.
const (
	SecretFile = "audit-key"
	PublicFile = "audit-key.pub"
)

// KeyIn reads the signing key of a folder; fs.ErrNotExist if it has none.
func KeyIn(dir string) (secret string, err error) {
	b, err := os.ReadFile(filepath.Join(dir, SecretFile))
	if err != nil {
		return "", fmt.Errorf("read the signing key: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// MakeKeyIn gives the signing key of a folder, which it makes if there is none. The
// secret can be read by its owner alone; the verifier key lies beside it. Two processes
// that make one at once get the same.
func MakeKeyIn(dir string) (secret string, err error) {
	secret, err = KeyIn(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, err
	}
	made, public, err := NewKey("")
	if err != nil {
		return "", err
	}
	if err := placeKey(filepath.Join(dir, SecretFile), made); err != nil {
		return "", err
	}
	if secret, err = KeyIn(dir); err != nil {
		return "", err
	}
	if secret != made {
		return secret, nil // another was faster
	}
	if err := os.WriteFile(filepath.Join(dir, PublicFile), []byte(public+"\n"), 0o644); err != nil { //nolint:gosec // it is for everybody
		return "", fmt.Errorf("write the verifier key: %w", err)
	}
	return secret, nil
}

// placeKey writes a file that only its owner reads, whole or not at all, and leaves one
// that is there as it is.
func placeKey(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".audit-key-*") // of mode 0600
	if err != nil {
		return fmt.Errorf("make the signing key: %w", err)
	}
	_, err = f.WriteString(text + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		if err = os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	if err = errors.Join(err, os.Remove(f.Name())); err != nil {
		return fmt.Errorf("make the signing key: %w", err)
	}
	return nil
}

// The environment variables of a process that writes an archive.
const (
	// KeyVariable has the signing key, or the name of a file with it.
	KeyVariable = "BLOTTER_AUDIT_KEY"
	// OlderVariable has the verifier keys, or the name of a file with them, that
	// signed the beginning of the archive.
	OlderVariable = "BLOTTER_AUDIT_OLDER_KEYS"
)
