package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

const defaultEndpoint = "https://huggingface.co"

// NewClientFromEnv makes a Client from the variables that the tools of the hub
// share: HF_ENDPOINT; HF_TOKEN, else the file HF_TOKEN_PATH or HF_HOME/token;
// HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE or HF_HOME/hub for the cache; and
// HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE. HF_HOME is ~/.cache/huggingface
// unless set (huggingface_hub's constants.py). What is wrong with the address or
// the token is an error of Pull: the cache needs neither.
func NewClientFromEnv() (*Client, error) {
	home, err := hfHome()
	if err != nil {
		return nil, err
	}
	endpoint := firstEnv("HF_ENDPOINT")
	if endpoint == "" {
		endpoint = defaultEndpoint
	}
	cache := firstEnv("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")
	if cache == "" {
		cache = filepath.Join(home, "hub")
	}
	c := &Client{
		Endpoint: strings.TrimRight(endpoint, "/"),
		CacheDir: expand(cache),
		Offline:  isTrue(firstEnv("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")),
	}
	c.Token, c.unfit = tokenFromEnv(home)
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		c.unfit = fmt.Errorf("HF_ENDPOINT is %q (want an address such as %s)", endpoint, defaultEndpoint)
	}
	return c, nil
}

func hfHome() (string, error) {
	if home := firstEnv("HF_HOME"); home != "" {
		return expand(home), nil
	}
	if cache := firstEnv("XDG_CACHE_HOME"); cache != "" {
		return filepath.Join(expand(cache), "huggingface"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no place for the model cache: set HF_HOME: %w", err)
	}
	return filepath.Join(home, ".cache", "huggingface"), nil
}

func tokenFromEnv(home string) (string, error) {
	token, from := firstEnv("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"), "HF_TOKEN"
	if token == "" {
		from = expand(firstEnv("HF_TOKEN_PATH"))
		if from == "" {
			from = filepath.Join(home, "token")
		}
		data, err := os.ReadFile(from)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("read the hub's token: %w", err)
		}
		token = strings.TrimSpace(string(data))
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", fmt.Errorf("%s does not hold a token: it has spaces or other characters that no token has", from)
	}
	return token, nil
}

// firstEnv returns the first variable that is set and not blank.
func firstEnv(keys ...string) string {
	for _, key := range keys {
		if v := strings.TrimSpace(os.Getenv(key)); v != "" {
			return v
		}
	}
	return ""
}

func isTrue(s string) bool {
	switch strings.ToUpper(s) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

// expand resolves a leading ~ and the $VARIABLES that are set, as
// huggingface_hub does.
func expand(p string) string {
	if p == "~" || strings.HasPrefix(p, "~/") || strings.HasPrefix(p, `~\`) {
		if home, err := os.UserHomeDir(); err == nil {
			p = home + p[1:]
		}
	}
	return os.Expand(p, func(key string) string {
		if v, ok := os.LookupEnv(key); ok {
			return v
		}
		return "$" + key
	})
}
