package wire

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

var update = flag.Bool("update", false, "add a sample of every event that has grown; none is ever written over")

// samples lie as <event>.<n>.binpb, an envelope as it stood in a log, and .json, what
// it says. A log keeps its events for years: every one of them must be read by every
// version to come.
const samples = "testdata/events"

// events are the messages that stand in an envelope: those of the services' files.
func events(t *testing.T) []protoreflect.MessageDescriptor {
	t.Helper()
	parts := map[protoreflect.FullName]bool{}
	var all []protoreflect.MessageDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("blotter.v1", func(f protoreflect.FileDescriptor) bool {
		if name := filepath.Base(f.Path()); name == "file.proto" || name == "envelope.proto" {
			return true
		}
		for i := range f.Messages().Len() {
			all = append(all, f.Messages().Get(i))
		}
		return true
	})
	for _, m := range all {
		for i := range m.Fields().Len() {
			if of := m.Fields().Get(i).Message(); of != nil {
				parts[of.FullName()] = true
			}
		}
	}
	all = slices.DeleteFunc(all, func(m protoreflect.MessageDescriptor) bool { return parts[m.FullName()] })
	if len(all) < 20 {
		t.Fatalf("only %d events were found", len(all))
	}
	return all
}

// TestEverySampleIsRead: what was written once is read whole, and says what it said.
func TestEverySampleIsRead(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob(filepath.Join(samples, "*.binpb"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no samples (%v)", err)
	}
	for _, name := range names {
		encoded, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		said, err := os.ReadFile(strings.TrimSuffix(name, ".binpb") + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var got, want blotterv1.Envelope
		if err := proto.Unmarshal(encoded, &got); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := protojson.Unmarshal(said, &want); err != nil {
			t.Errorf("%s: what it said cannot be read any more: %v", name, err)
			continue
		}
		gotEvent, err := got.GetEvent().UnmarshalNew()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantEvent, err := want.GetEvent().UnmarshalNew()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got.Event, want.Event = nil, nil
		if !proto.Equal(&got, &want) || !proto.Equal(gotEvent, wantEvent) {
			t.Errorf("%s says\n%s\n%s\nit said\n%s", name, protojson.Format(&got), protojson.Format(gotEvent), said)
		}
		if field := unknown(gotEvent.ProtoReflect()); field != "" {
			t.Errorf("%s: %s holds fields that nobody knows any more", name, field)
		}
	}
}

// TestEveryEventHasASample of its present version: all of its fields are set in one.
func TestEveryEventHasASample(t *testing.T) {
	t.Parallel()
	for _, m := range events(t) {
		whole := fill(m, string(m.Name()))
		n := 1
		for ; ; n++ {
			encoded, err := os.ReadFile(sampleName(m, n, "binpb"))
			if errors.Is(err, fs.ErrNotExist) {
				break
			}
			var env blotterv1.Envelope
			if err := errors.Join(err, proto.Unmarshal(encoded, &env)); err != nil {
				t.Fatal(err)
			}
			event, err := env.GetEvent().UnmarshalNew()
			if err != nil {
				t.Fatal(err)
			}
			if missing(event.ProtoReflect(), whole.ProtoReflect()) == "" {
				n = 0
				break
			}
		}
		if n == 0 {
			continue
		}
		if !*update {
			t.Errorf("no sample of %s has all of its fields: run go test ./pkg/wire -update, and keep those that are there", m.Name())
			continue
		}
		write(t, m, n, whole)
	}
}

func sampleName(m protoreflect.MessageDescriptor, n int, ext string) string {
	return filepath.Join(samples, fmt.Sprintf("%s.%d.%s", m.Name(), n, ext))
}

func write(t *testing.T, m protoreflect.MessageDescriptor, n int, event proto.Message) {
	t.Helper()
	packed, err := anypb.New(event)
	if err != nil {
		t.Fatal(err)
	}
	env := &blotterv1.Envelope{
		Id: "service/rms.reports/" + string(m.Name()), Table: "rms.reports", Time: timestamppb.New(sampleTime), Cause: "cause", Correlation: "file",
		Actor: "operator:sample", Version: 7, Index: 3, Event: packed,
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(env)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(samples, 0o755), os.WriteFile(sampleName(m, n, "binpb"), encoded, 0o644),
		os.WriteFile(sampleName(m, n, "json"), []byte(protojson.Format(env)+"\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
}

var sampleTime = time.Date(2024, 3, 4, 6, 7, 8, 9000, time.UTC)

// fill gives a message with every field set, each to something of its own.
func fill(m protoreflect.MessageDescriptor, path string) proto.Message {
	if m.FullName() == "google.protobuf.Timestamp" {
		return timestamppb.New(sampleTime.Add(time.Duration(len(path)) * time.Hour))
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(m.FullName())
	if err != nil {
		panic(err) // it is one of the registry's own
	}
	msg := kind.New()
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		at := path + "." + string(f.Name())
		if f.IsList() {
			list := msg.Mutable(f).List()
			for n := range 2 {
				list.Append(value(f, fmt.Sprintf("%s[%d]", at, n), n))
			}
			continue
		}
		msg.Set(f, value(f, at, 0))
	}
	return msg.Interface()
}

func value(f protoreflect.FieldDescriptor, path string, n int) protoreflect.Value {
	number := 100*int(f.Number()) + n + 1
	switch f.Kind() {
	case protoreflect.MessageKind:
		return protoreflect.ValueOfMessage(fill(f.Message(), path).ProtoReflect())
	case protoreflect.EnumKind:
		values := f.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(values.Len() - 1).Number())
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(path)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(path))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(number) / 8)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(number))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(number))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(number))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(uint64(number))
	default:
		panic(fmt.Sprintf("%s is of kind %s: say how a sample of it looks", path, f.Kind()))
	}
}

// missing names the first field that want has and got lacks; empty if there is none.
func missing(got, want protoreflect.Message) (name string) {
	want.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case !got.Has(f):
			name = string(f.FullName())
		case f.Message() != nil && f.IsList():
			name = missing(got.Get(f).List().Get(0).Message(), v.List().Get(0).Message())
		case f.Message() != nil:
			name = missing(got.Get(f).Message(), v.Message())
		}
		return name == ""
	})
	return name
}

// unknown names the first message with fields that its type does not have.
func unknown(m protoreflect.Message) (name string) {
	if len(m.GetUnknown()) > 0 {
		return string(m.Descriptor().FullName())
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				name = unknown(v.List().Get(i).Message())
			}
		default:
			name = unknown(v.Message())
		}
		return name == ""
	})
	return name
}
