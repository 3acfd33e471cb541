package config

// Secret is a secret by reference: exactly one of its sources is set in the file. Once loaded it holds the value; it
// prints as dots.
type Secret struct {
	file, env, demo string
	value           string
}

// Password is a user's password, kept as a bcrypt hash.
type Password struct {
	hash []byte
}
