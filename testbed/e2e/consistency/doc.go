// Package consistency lets many people, apps and operators loose on an issuer at once, writes down what each asked and was
// answered and when, and has porcupine look for one order of all that agrees with it: every answer as if things had happened
// one after the other, each at some moment between its question and its answer (linearizability).
//
// So it finds a token that lives on after its revocation was answered, on whatever path, and one that dies of nothing.
//
// Then it does the same with gateways before that issuer. What a gateway answers may be as old as the bound, so its question
// counts as asked that much earlier: but no answer may be older, and none may be of what never was. And it has rapid lead one
// gateway through whatever can happen to it, step by step, beside a model of its cache.
package consistency
