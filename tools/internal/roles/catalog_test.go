package roles

import (
	"errors"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/lake/glue/gluetest"
	"github.com/openblotter/blotter/pkg/registry"
)

func TestParseCatalog(t *testing.T) {
	for uri, want := range map[string]address{
		"/var/lib/catalog.db":            {path: "/var/lib/catalog.db"},
		"file:///var/lib/catalog.db":     {path: "/var/lib/catalog.db"},
		"glue://":                        {scheme: "glue"},
		"glue://rms_":                    {scheme: "glue", name: "rms_"},
		"glue://?region=eu-west-1":       {scheme: "glue", region: "eu-west-1"},
		"glue://p_?account=012345678901": {scheme: "glue", name: "p_", account: "012345678901"},
		"glue://?account=012345678901&region=us-gov-west-1": {scheme: "glue", account: "012345678901", region: "us-gov-west-1"},
	} {
		got, err := parseCatalog(uri)
		if err != nil || got != want {
			t.Errorf("%s is %+v, %v", uri, got, err)
		}
		if strings.HasPrefix(uri, "glue:") && got.uri() != uri {
			t.Errorf("%s is written as %s", uri, got.uri())
		}
	}
	for uri, says := range map[string]string{
		"glue://RMS":                "small letters",
		"glue://rms/x":              "small letters",
		"glue://?zone=a":            "zone is not known; expected account or region",
		"glue://?account=1":         "expected 12 digits",
		"glue://?region=":           "expected one value for region",
		"glue://?region=%zz":        "what follows the question mark",
		"hive://metastore":          "expected a file or glue://…",
		"glue://?region=a&region=b": "expected one value",
	} {
		if _, err := parseCatalog(uri); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, expected %q", uri, err, says)
		}
	}
}

// TestTablesThatTheCatalogCannotHold are refused before they are registered, all
// together.
func TestTablesThatTheCatalogCannotHold(t *testing.T) {
	specs := []registry.Table{{ID: dms.TableID{DB: "rms", Table: "reports"}}, {ID: dms.TableID{DB: "rms", Table: "PEOPLE"}}, {ID: dms.TableID{DB: "rms", Table: "a b"}}}
	if err := (Places{}).CheckTables(specs); err != nil {
		t.Error(err)
	}
	on := Places{Catalog: "glue://p_", Lake: "s3://lake"}
	if err := on.CheckTables(specs[:1]); err != nil {
		t.Error(err)
	}
	err := on.CheckTables(specs)
	if !errors.Is(err, lake.ErrIncompatible) || !strings.Contains(err.Error(), "rms.PEOPLE") || !strings.Contains(err.Error(), `"a b"`) {
		t.Errorf("they are refused with %v", err)
	}
}

// TestGlueIsAsked when the places are looked at: what is wrong shows then.
func TestGlueIsAsked(t *testing.T) {
	server := gluetest.New()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_GLUE": server.Serve(t), "AWS_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1",
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		t.Setenv(name, value)
	}
	o := &opener{cfg: Config{Dir: t.TempDir(), Places: Places{Catalog: "glue://p_?region=eu-west-1", Lake: "s3://lake"}}}
	where, state, err := o.lookAt(t.Context(), "catalog", false)
	if err != nil || where != "glue://p_?region=eu-west-1" || !strings.HasPrefix(state, "Glue answers") {
		t.Errorf("%s: %s, %v", where, state, err)
	}
	server.Inject("GetDatabase", gluetest.Fault{Code: "UnrecognizedClientException"})
	if _, _, err := o.lookAt(t.Context(), "catalog", false); err == nil || !strings.Contains(err.Error(), "cannot be asked in region eu-west-1") {
		t.Errorf("credentials that AWS does not know give %v", err)
	}
}
