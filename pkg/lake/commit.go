package lake

import (
	"context"
	"fmt"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// commit makes one snapshot of everything and moves the table to it.
func (b *batch) commit(ctx context.Context) (Result, error) {
	tx, err := pin(b.tbl)
	if err != nil {
		return Result{}, err
	}
	if err := b.reshape(tx); err != nil {
		return Result{}, err
	}
	result := Result{Token: b.req.Token, Strategy: b.strategy, TableRows: b.rowsAfter(), Named: b.claims != nil, RowsHash: b.rowsHash.String()}
	for _, p := range b.parts {
		result.Files = append(result.Files, FileCount{FileID: p.manifest.FileID, Counts: p.manifest.Counts, Staged: p.manifest.Token, Superseded: p.superseded, Ties: p.ties})
	}
	if err := b.stage(ctx, tx); err != nil {
		return Result{}, err
	}
	extra := iceberg.Properties{PropertySpec: strconv.FormatUint(b.req.Spec.Version, 10)}
	if b.req.Mode == Replace {
		extra[PropertyGeneration] = strconv.FormatUint(b.req.Generation, 10)
	}
	if err := setState(tx, &result, b.tombstones, extra); err != nil {
		return Result{}, err
	}
	b.snapshotID = result.SnapshotID
	if err := b.lake.step(StepStaged); err != nil {
		return Result{}, err
	}
	if _, err := tx.Commit(ctx); err != nil {
		return Result{}, commitFailed(err)
	}
	return result, b.lake.step(StepCommitted)
}

func (b *batch) rowsAfter() int64 {
	if b.req.Mode == Replace {
		return b.inserted
	}
	return b.before.rows - b.replaced + b.inserted
}

// stage writes the manifests of the snapshot.
func (b *batch) stage(ctx context.Context, tx *table.Transaction) error {
	summary := summaryOf(b.req.Token, b.strategy, len(b.parts))
	if b.claims != nil {
		summary[SummaryNamed] = "true"
	}
	var err error
	switch {
	case len(b.addDeletes) > 0:
		err = tx.NewRowDelta(summary).AddRows(b.add...).AddDeletes(b.addDeletes...).Commit(ctx)
	case len(b.drop) > 0:
		err = tx.ReplaceFiles(ctx, b.drop, b.add, b.droppedDeletes(), summary, table.WithoutAutoNameMapping())
	case len(b.add) > 0:
		// Paths are new by their names; the token guards against repetition.
		err = tx.AddDataFiles(ctx, b.add, summary, table.WithoutAutoNameMapping(), table.WithoutDuplicateCheck())
	default:
		return stageEmpty(ctx, tx, summary)
	}
	if err != nil {
		return fmt.Errorf("stage snapshot: %w", err)
	}
	return nil
}

func summaryOf(token uint64, strategy string, files int) iceberg.Properties {
	return iceberg.Properties{
		PropertyToken:   strconv.FormatUint(token, 10),
		SummaryStrategy: strategy,
		SummaryFiles:    strconv.Itoa(files),
	}
}

// stageEmpty stages a snapshot with the same content as the one before.
func stageEmpty(ctx context.Context, tx *table.Transaction, summary iceberg.Properties) error {
	staged, err := tx.StagedTable()
	if err != nil {
		return fmt.Errorf("stage empty snapshot: %w", err)
	}
	schema, err := table.SchemaToArrowSchema(staged.Schema(), nil, true, false)
	if err != nil {
		return fmt.Errorf("stage empty snapshot: %w", err)
	}
	rows, err := array.NewRecordReader(schema, nil)
	if err != nil {
		return fmt.Errorf("stage empty snapshot: %w", err)
	}
	defer rows.Release()
	if err := tx.Append(ctx, rows, summary); err != nil {
		return fmt.Errorf("stage empty snapshot: %w", err)
	}
	return nil
}

// setState puts what a commit did into the table's properties; the snapshot must
// be staged already, as its id is part of it.
func setState(tx *table.Transaction, r *Result, tombstones []Tombstone, extra iceberg.Properties) error {
	staged, err := tx.StagedTable()
	if err != nil {
		return fmt.Errorf("read staged snapshot: %w", err)
	}
	r.SnapshotID = staged.CurrentSnapshot().SnapshotID
	props, err := stateProperties(*r, tombstones)
	if err != nil {
		return err
	}
	for k, v := range extra {
		props[k] = v
	}
	if err := tx.SetProperties(props); err != nil {
		return fmt.Errorf("set properties: %w", err)
	}
	return nil
}
