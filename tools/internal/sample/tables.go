package sample

import (
	"math/rand/v2"
	"strconv"
)

// tables gives the tables of the records system.
func tables() []schema {
	return []schema{
		officers(), persons(), vehicles(), reports(), reportPersons(), citations(),
		arrests(), evidenceItems(), property(), caseNotes(), dispatchCalls(), auditLog(),
	}
}

// officers is ordered by file alone: DMS was set up without a timestamp and
// without a sequence, but with a header.
func officers() schema {
	return schema{
		name: "officers", share: 0.01, key: []string{"officer_id"}, loads: 1, changes: 4, late: true,
		settings: settings{header: true, noTimestamp: true, noSequence: true},
		columns: []column{
			fixed("officer_id", "int not null", id),
			fixed("badge", "varchar(12) not null", numbered("B-%05d")),
			varies("name", "varchar(120)", text(fullName)),
			varies("rank", "varchar(20)", oneOf("Officer", "Detective", "Sergeant", "Lieutenant", "Captain")),
			varies("district", "smallint", number(1, 7)),
			varies("active", "boolean", truth(0.93)),
			fixed("hired_on", "date", date(1994, 2023)),
			varies("updated_at", "timestamp", timestamp),
		},
	}
}

func persons() schema {
	return schema{
		name: "persons", share: 0.14, key: []string{"person_id"}, loads: 3, changes: 6, late: true, rewritten: true, again: true,
		columns: []column{
			fixed("person_id", "bigint not null", id),
			varies("last_name", "varchar(80)", oneOf(lastNames...)),
			fixed("first_name", "varchar(80)", oneOf(firstNames...)),
			fixed("date_of_birth", "date", maybe(0.04, date(1931, 2009))),
			fixed("sex", "char(1)", oneOf("F", "M", "X", "U")),
			fixed("height_cm", "double precision", maybe(0.2, degrees(140, 205))),
			varies("address", "varchar(200)", maybe(0.1, text(address))),
			varies("phone", "varchar(20)", maybe(0.3, text(func(r *rand.Rand) string { return "555-01" + strconv.Itoa(10+r.IntN(90)) }))),
			varies("juvenile", "boolean", truth(0.06)),
			varies("updated_at", "timestamp", timestamp),
		},
	}
}

// vehicles has a key that changes: identification numbers are corrected.
func vehicles() schema {
	return schema{
		name: "vehicles", share: 0.08, key: []string{"vin"}, loads: 2, changes: 5, late: true,
		settings: settings{beforeImages: true},
		columns: []column{
			fixed("vin", "varchar(17) not null", vin),
			varies("plate", "varchar(10)", maybe(0.05, text(func(r *rand.Rand) string { return "QX" + strconv.Itoa(1000+r.IntN(9000)) }))),
			fixed("make", "varchar(40)", oneOf("Fordell", "Toyama", "Hondale", "Škola", "Citroux", "Chevallier")),
			fixed("year", "int", number(1988, 2024)),
			varies("color", "varchar(20)", oneOf("black", "white", "silver, worn", "blue", "red", "green/gold")),
			varies("owner_id", "bigint", maybe(0.1, ref(5000))),
			varies("stolen", "boolean", truth(0.02)),
			varies("value", "decimal(10,2)", maybe(0.2, money(60000))),
			varies("updated_at", "timestamp", timestamp),
		},
	}
}

// reports has more than nine load files, which DMS numbers in hexadecimal.
func reports() schema {
	return schema{
		name: "reports", share: 0.12, key: []string{"report_id"}, loads: 12, changes: 6, late: true, rewritten: true, again: true, shuffled: true,
		columns: []column{
			fixed("report_id", "bigint not null", id),
			fixed("report_number", "varchar(20) not null", numbered("24-%07d")),
			varies("status", "varchar(20)", oneOf("DRAFT", "SUBMITTED", "APPROVED", "CLOSED", "REOPENED")),
			fixed("offense_code", "varchar(8)", oneOf("23A", "23F", "240", "290", "13B", "90Z")),
			fixed("occurred_at", "timestamp", timestamp),
			varies("location", "varchar(200)", text(address)),
			varies("latitude", "double precision", maybe(0.08, degrees(38.8, 39.0))),
			varies("longitude", "double precision", maybe(0.08, degrees(-77.12, -76.91))),
			varies("officer_id", "int", ref(500)),
			varies("summary", "varchar(400)", maybe(0.15, text(sentence))),
			varies("loss_amount", "decimal(12,2)", maybe(0.5, money(25000))),
			varies("updated_at", "timestamp", timestamp),
		},
	}
}

// reportPersons has a key of two columns.
func reportPersons() schema {
	report := func(c cell) int64 { return (c.id-1)/3 + 1 }
	return schema{
		name: "report_persons", share: 0.14, key: []string{"report_id", "person_id"}, loads: 2, changes: 5, late: true, shuffled: true,
		columns: []column{
			fixed("report_id", "bigint not null", func(c cell) value { return same(strconv.FormatInt(report(c), 10)) }),
			fixed("person_id", "bigint not null", func(c cell) value {
				return same(strconv.FormatInt(report(c)*7919%90000*3+(c.id-1)%3+1, 10))
			}),
			varies("role", "varchar(20)", oneOf("VICTIM", "WITNESS", "SUSPECT", "REPORTER", "OTHER")),
			varies("injured", "boolean", maybe(0.1, truth(0.05))),
			varies("remark", "varchar(200)", maybe(0.6, oneOf("called back", "no answer, twice", "says \"no\"", "moved – new address"))),
		},
	}
}

// citations gets the broken file.
func citations() schema {
	return schema{
		name: "citations", share: 0.10, key: []string{"citation_id"}, loads: 2, changes: 5, broken: true,
		columns: []column{
			fixed("citation_id", "bigint not null", id),
			fixed("citation_number", "varchar(16)", numbered("C%09d")),
			fixed("issued_on", "date", date(2021, 2024)),
			varies("vin", "varchar(17)", maybe(0.1, vin)),
			varies("amount", "decimal(10,2)", money(900)),
			varies("paid", "boolean", truth(0.6)),
			varies("violation", "varchar(120)", oneOf("speeding 11–20 over", "expired meter", "no lamp, night", "failed to yield", "\"rolling\" stop")),
			varies("updated_at", "timestamp", timestamp),
		},
	}
}

// arrests is ordered by commit timestamp: DMS adds no sequence to it.
func arrests() schema {
	return schema{
		name: "arrests", share: 0.05, key: []string{"arrest_id"}, loads: 1, changes: 5, late: true, rewritten: true,
		settings: settings{noSequence: true},
		columns: []column{
			fixed("arrest_id", "bigint not null", id),
			varies("person_id", "bigint", ref(5000)),
			varies("report_id", "bigint", maybe(0.1, ref(5000))),
			fixed("arrested_at", "timestamptz", instant),
			varies("charge", "varchar(80)", oneOf("theft II", "simple assault", "unlawful entry", "FTA warrant", "destruction of property")),
			varies("bail", "decimal(10,2)", maybe(0.5, money(20000))),
			varies("released", "boolean", truth(0.7)),
		},
	}
}

// evidenceItems is loaded a second time, with fewer rows.
func evidenceItems() schema {
	return schema{
		name: "evidence_items", share: 0.06, key: []string{"item_id"}, loads: 2, changes: 4, reloaded: true,
		columns: []column{
			fixed("item_id", "bigint not null", id),
			varies("report_id", "bigint", ref(5000)),
			fixed("barcode", "varchar(20)", numbered("EV%010d")),
			varies("label", "varchar(120)", oneOf("phone, cracked", "bag – blue", "3\" blade", "USB stick", "ledger (water-damaged)")),
			varies("quantity", "int", number(1, 40)),
			varies("location", "varchar(40)", oneOf("LOCKER-A", "LOCKER-B", "LAB", "COURT", "RELEASED")),
			varies("destroyed_on", "date", maybe(0.9, date(2023, 2024))),
			varies("updated_at", "timestamp", timestamp),
		},
	}
}

// property tells null by a token, so that texts can be empty, and its load
// files carry an Op.
func property() schema {
	return schema{
		name: "property", share: 0.06, key: []string{"property_id"}, loads: 2, changes: 4, late: true,
		settings: settings{null: "NULL", opInLoad: true},
		columns: []column{
			fixed("property_id", "bigint not null", id),
			varies("report_id", "bigint", maybe(0.05, ref(5000))),
			fixed("kind", "varchar(40)", oneOf("jewelry", "electronics", "cash", "bicycle", "tools")),
			varies("description", "varchar(200)", maybe(0.1, oneOf("", "", "engraved \"À toi\"", "serial filed off", "ring, gold"))),
			varies("value", "decimal(12,2)", maybe(0.2, money(40000))),
			varies("recovered", "boolean", truth(0.3)),
			varies("updated_at", "timestamp", timestamp),
		},
	}
}

// caseNotes holds long texts; its load is compressed.
func caseNotes() schema {
	return schema{
		name: "case_notes", share: 0.07, key: []string{"note_id"}, loads: 3, gzip: true, changes: 4, late: true, again: true,
		columns: []column{
			fixed("note_id", "bigint not null", id),
			fixed("report_id", "bigint", ref(5000)),
			varies("author", "varchar(120)", text(fullName)),
			varies("body", "text", text(narrative)),
			varies("sealed", "boolean", truth(0.03)),
			varies("written_at", "timestamp", timestamp),
		},
	}
}

// dispatchCalls was loaded in parallel, by segments.
func dispatchCalls() schema {
	return schema{
		name: "dispatch_calls", share: 0.11, key: []string{"call_id"}, loads: 2, segments: 3, changes: 5, late: true,
		columns: []column{
			fixed("call_id", "bigint not null", id),
			fixed("received_at", "timestamptz", instant),
			varies("cleared_at", "timestamptz", maybe(0.2, instant)),
			varies("priority", "smallint", number(1, 5)),
			varies("unit", "varchar(10)", maybe(0.1, oneOf("1D12", "3D305", "K9-2", "A/1", "7D,7E"))),
			fixed("latitude", "double precision", degrees(38.8, 39.0)),
			fixed("longitude", "double precision", degrees(-77.12, -76.91)),
			varies("disposition", "varchar(40)", maybe(0.15, oneOf("REPORT", "UNFOUNDED", "ARREST", "ASSISTED", "GONE ON ARRIVAL"))),
		},
	}
}

// auditLog has no primary key: its rows are appended, equal ones too.
func auditLog() schema {
	return schema{
		name: "audit_log", share: 0.06, loads: 1, changes: 4, late: true, again: true,
		columns: []column{
			fixed("logged_at", "timestamp", timestamp),
			fixed("user_name", "varchar(80)", oneOf("zåberg", "lszczepanik", "iokonjo", "svc_export", "mnúñez")),
			fixed("action", "varchar(20)", oneOf("LOGIN", "VIEW", "PRINT", "EXPORT", "LOGOUT")),
			fixed("object", "varchar(80)", maybe(0.2, text(func(r *rand.Rand) string { return "reports/" + strconv.Itoa(1+r.IntN(5000)) }))),
		},
	}
}
