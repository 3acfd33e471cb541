// Package consistency lets many people, apps and operators loose on an issuer at once, writes down what each asked and was
// answered and when, and has porcupine look for one order of all that agrees with it: every answer as if things had happened
// one after the other, each at some moment between its question and its answer (linearizability).
//
// So it finds a token that lives on after its revocation was answered, on whatever path, and one that dies of nothing.
package consistency
