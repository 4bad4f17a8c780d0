package main

// engines gives the pipelines by the name of their transform engine, as
// -engine takes it.
func engines(s *sparkEngine, l *lambdaEngine) map[string]Engine {
	return map[string]Engine{
		"local": {Open: newLocal}, "spark": {Prepare: s.prepare, Open: s.open},
		"lambda": {Prepare: l.prepare, Open: l.open},
	}
}
