package main

// engines gives the pipelines by the name of their transform engine, as
// -engine takes it.
func engines(s *sparkEngine) map[string]Factory {
	return map[string]Factory{"local": newLocal, "spark": s.open}
}
