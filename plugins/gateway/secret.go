package gateway

import (
	"io"
	"os"
	"strings"
)

const mostSecret = 4096

// clientSecret returns the secret that exactly one of the three settings leads to. No fault names its value. More than
// one setting, or none, is validate's to report.
func clientSecret(i Issuer, getenv func(string) (string, bool)) (string, *Fault) {
	switch {
	case i.ClientSecretFile != "":
		return secretFromFile(i.ClientSecretFile)
	case i.ClientSecretEnv != "":
		secret, _ := getenv(i.ClientSecretEnv)
		if secret == "" {
			return "", &Fault{"issuer.clientSecretEnv", "the environment has no " + i.ClientSecretEnv + "; set it, or name another"}
		}
		return secret, nil
	}
	return string(i.ClientSecret), nil
}

// secretFromFile reads a secret. A line break at the end, which editors add, does not belong to it.
func secretFromFile(name string) (string, *Fault) {
	const field = "issuer.clientSecretFile"
	file, err := os.Open(name)
	if err != nil {
		return "", &Fault{field, err.Error()} // names the file and what is wrong with it
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, mostSecret+1))
	secret := strings.TrimRight(string(data), "\r\n")
	switch {
	case err != nil:
		return "", &Fault{field, err.Error()}
	case secret == "":
		return "", &Fault{field, name + " is empty; write the secret into it"}
	case len(data) > mostSecret:
		return "", &Fault{field, name + " is too long to be a secret; name a file that holds nothing else"}
	}
	return secret, nil
}
