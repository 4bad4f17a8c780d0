package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// northwind registers all tables of the Northwind database as PostgreSQL
// declares them.
const northwind = `database: public
source: {prefix: "", schema: public}
dms:
  op_column: Op
  op_in_full_load: true
  timestamp_column: transaction_commit_timestamp
  change_seq_column: transaction_sequence_number
  before_image_prefix: before_
  null: ""
tables:
  - name: categories
    primary_key: [category_id]
    columns: {category_id: int not null, category_name: string, description: string, picture: binary}
  - name: customers
    primary_key: [customer_id]
    columns:
      customer_id: string not null
      company_name: string
      contact_name: string
      contact_title: string
      address: string
      city: string
      region: string
      postal_code: string
      country: string
      phone: string
      fax: string
  - name: employee_territories
    primary_key: [employee_id, territory_id]
    columns: {employee_id: int not null, territory_id: string not null}
  - name: employees
    primary_key: [employee_id]
    columns:
      employee_id: int not null
      last_name: string
      first_name: string
      title: string
      title_of_courtesy: string
      birth_date: date
      hire_date: date
      address: string
      city: string
      region: string
      postal_code: string
      country: string
      home_phone: string
      extension: string
      photo: binary
      notes: string
      reports_to: int
      photo_path: string
  - name: orders
    primary_key: [order_id]
    columns:
      order_id: int not null
      customer_id: string
      employee_id: int
      order_date: date
      required_date: date
      shipped_date: date
      ship_via: int
      freight: float
      ship_name: string
      ship_address: string
      ship_city: string
      ship_region: string
      ship_postal_code: string
      ship_country: string
    layouts:
      - {kind: load, columns: [Op, transaction_commit_timestamp, order_id, customer_id, employee_id, order_date, required_date, shipped_date, ship_via, freight, ship_name, ship_address, ship_city, ship_region, ship_postal_code, ship_country, transaction_sequence_number]}
      - {kind: cdc, columns: [Op, transaction_commit_timestamp, order_id, customer_id, employee_id, order_date, required_date, shipped_date, ship_via, freight, ship_name, ship_address, ship_city, ship_region, ship_postal_code, ship_country, transaction_sequence_number]}
      - {kind: cdc, from: 20240705-000000000, columns: [Op, transaction_commit_timestamp, order_id, customer_id, employee_id, order_date, required_date, shipped_date, ship_via, freight, ship_name, ship_address, ship_city, ship_region, ship_postal_code, ship_country, transaction_sequence_number, before_order_id]}
  - name: products
    primary_key: [product_id]
    columns:
      product_id: int not null
      product_name: string
      supplier_id: int
      category_id: int
      quantity_per_unit: string
      unit_price: float
      units_in_stock: int
      units_on_order: int
      reorder_level: int
      discontinued: int
  - name: region
    primary_key: [region_id]
    columns: {region_id: int not null, region_description: string}
  - name: shippers
    primary_key: [shipper_id]
    columns: {shipper_id: int not null, company_name: string, phone: string}
  - name: suppliers
    primary_key: [supplier_id]
    columns:
      supplier_id: int not null
      company_name: string
      contact_name: string
      contact_title: string
      address: string
      city: string
      region: string
      postal_code: string
      country: string
      phone: string
      fax: string
      homepage: string
  - name: territories
    primary_key: [territory_id]
    columns: {territory_id: string not null, territory_description: string, region_id: int}
  - name: us_states
    primary_key: [state_id]
    columns: {state_id: int not null, state_name: string, state_abbr: string, state_region: string}
`

// TestNorthwind reads what DMS wrote from Aurora PostgreSQL, where it lies.
func TestNorthwind(t *testing.T) {
	t.Parallel()
	dir := sharedDir(t, "data", "dms", "northwind_aurora_pg")
	s := newSystem(t, dir, northwind)
	s.up(0)
	want, err := os.Open(filepath.Join(sharedDir(t, "cases", "o30-real-northwind-orders"), "expected.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	s.equalExpected(parseOne(t, northwind, "public.orders"), want)
	folders, err := os.ReadDir(filepath.Join(dir, "public"))
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) != 11 {
		t.Fatalf("%d tables, expected 11", len(folders))
	}
	for _, f := range folders {
		if f.Name() != "orders" { // the only one with changes
			checkLoaded(t, s, dir, "public."+f.Name())
		}
	}
}

// checkLoaded compares keys and rows of a table with its one load file.
func checkLoaded(t *testing.T, s *system, dir, table string) {
	t.Helper()
	spec := parseOne(t, northwind, table)
	records := readRecords(t, filepath.Join(dir, "public", spec.ID.Table, "LOAD00000001.csv"))
	got := s.cat(table, "")
	if len(got.rows) != len(records) {
		t.Errorf("%s: %d rows, its load file has %d", table, len(got.rows), len(records))
	}
	for _, key := range spec.PrimaryKey {
		at := slices.Index(got.header, key)
		var want []string
		for _, r := range records {
			want = append(want, r[2+at]) // Op and timestamp stand in front
		}
		keys := got.column(t, key)
		slices.Sort(keys)
		slices.Sort(want)
		if !slices.Equal(keys, want) {
			t.Errorf("%s: the keys %s are not those of the load file", table, key)
		}
	}
}

const customers = `database: classicmodels
source: {prefix: dms/, schema: classicmodels}
dms: {op_column: Op, op_in_full_load: false, null: ""}
tables:
  - name: customers
    primary_key: [customer_number]
    columns:
      customer_number: int not null
      customer_name: string
      contact_last: string
      contact_first: string
      phone: string
      address1: string
      address2: string
      city: string
      state: string
      postal_code: string
      country: string
      sales_rep: int
      credit_limit: decimal(10,2)
`

// TestCustomers reads what DMS wrote from MySQL: insert, update, delete and
// insert of one key in one file, without timestamp or sequence.
func TestCustomers(t *testing.T) {
	t.Parallel()
	dir := sharedDir(t, "data", "dms", "m55hr_mysql_customers")
	s := newSystem(t, "", customers)
	loaded := time.Date(2024, 8, 9, 19, 0, 0, 0, time.UTC)
	for n, name := range []string{"LOAD00000001.csv", "20240809-192717787.csv"} {
		s.place(filepath.Join(dir, name), "dms/classicmodels/customers/"+name, loaded.Add(time.Duration(n)*28*time.Minute))
	}
	s.up(0)
	want, err := os.Open(filepath.Join(sharedDir(t, "cases", "o04-real-mysql-customers-delete-then-reinsert"), "expected.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	s.equalExpected(parseOne(t, customers, "classicmodels.customers"), want)
}

const persons = `database: demo
source: {prefix: "", schema: demo}
dms: {op_column: Op, op_in_full_load: false, null: ""}
tables:
  - name: persons
    primary_key: [id]
    columns: {id: int not null, name: string, city: string, date: date}
`

// TestPersons reads what DMS wrote from MySQL: one load file, five change files
// without timestamps.
func TestPersons(t *testing.T) {
	t.Parallel()
	dir := sharedDir(t, "data", "dms", "qiushiyan_mysql_persons")
	s := newSystem(t, "", persons)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		modified := time.Date(2021, 10, 17, 19, 0, 0, 0, time.UTC)
		if day, _, ok := strings.Cut(f.Name(), "."); ok && !strings.HasPrefix(day, "LOAD") {
			if modified, err = time.Parse("20060102-150405", day[:15]); err != nil {
				t.Fatal(err)
			}
		}
		s.place(filepath.Join(dir, f.Name()), "demo/persons/"+f.Name(), modified)
	}
	s.up(0)
	got := s.cat("demo.persons", `\N`)
	if len(got.rows) != 110 {
		t.Errorf("%d rows, expected 110", len(got.rows))
	}
}
