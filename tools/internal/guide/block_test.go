package guide

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// guideFile is the guide that is tried.
const guideFile = "../../../deploy/guide/registering-tables.md"

// block is one fenced block of a guide.
type block struct {
	page  string
	line  int // of the opening fence
	lang  string
	words []string          // of the info string, without values
	attrs map[string]string // key=value of the info string
	text  string
}

func (b block) is(lang, word string) bool {
	if b.lang != lang {
		return false
	}
	for _, w := range b.words {
		if w == word {
			return true
		}
	}
	return word == "" && len(b.words) == 0
}

func (b block) String() string {
	return fmt.Sprintf("%s:%d (%s)", b.page, b.line, b.lang)
}

// readGuide gives the fenced blocks, and the text without them.
func readGuide(t *testing.T) (blocks []block, prose string) {
	t.Helper()
	return readPage(t, guideFile)
}

// readPage is readGuide of another page.
func readPage(t *testing.T, file string) (blocks []block, prose string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	var open *block
	for i, line := range strings.SplitAfter(string(content), "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			b := newBlock(i+1, strings.Fields(info))
			b.page = file
			open = &b
		case fence:
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += line
		default:
			out.WriteString(line)
		}
	}
	if open != nil {
		t.Fatalf("%s is never closed", open)
	}
	return blocks, out.String()
}

func newBlock(line int, info []string) block {
	b := block{line: line, attrs: map[string]string{}}
	for i, word := range info {
		key, value, ok := strings.Cut(word, "=")
		switch {
		case i == 0:
			b.lang = word
		case ok:
			b.attrs[key] = value
		default:
			b.words = append(b.words, word)
		}
	}
	return b
}
