package lockmanager

// Stuck gives the files that nothing will release, lowest order first: not the next
// decision of the table, and no operator is asked for one. A table that lock-manager
// wrote has none.
func (s *State) Stuck() []*File {
	return s.files(func(f *File) bool {
		switch f.Status {
		case Granted:
			return !s.inGrant(f)
		case Quarantined:
			return s.Pause == nil && s.Load == nil && s.Grant == nil
		case Waiting:
			return f.Late && s.Pause == nil && s.Load == nil
		}
		return false
	})
}
