package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	claimsPath  = "/api/v1/persistentvolumeclaims"
	volumesPath = "/api/v1/persistentvolumes"
)

// access is how to reach the API server; all but the server are files.
type access struct{ server, authority, certificate, key string }

type kube struct {
	server string
	http   *http.Client
}

func connect(a access) (*kube, error) {
	pair, err := tls.LoadX509KeyPair(a.certificate, a.key)
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(a.authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s has no certificate", a.authority)
	}
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots},
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second},
	}
	return &kube{server: a.server, http: &http.Client{Transport: transport}}, nil
}

// call sends one request and reads its answer into out, which may be nil. Answers of the statuses in tolerated are no errors.
func (k *kube) call(ctx context.Context, method, path, contentType string, body, out any, tolerated ...int) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, k.server+path, payload)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", contentType)
	answer, err := k.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	for _, status := range tolerated {
		if answer.StatusCode == status {
			return nil
		}
	}
	if answer.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 2000))
		return fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(out)
}

// watch notifies changed for every event under path, for ever.
func (k *kube) watch(ctx context.Context, path string, changed chan struct{}) {
	for ctx.Err() == nil {
		if err := k.watchOnce(ctx, path, changed); err != nil && err != io.EOF && ctx.Err() == nil {
			log.Printf("watch of %s: %v", path, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (k *kube) watchOnce(ctx context.Context, path string, changed chan struct{}) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.server+path+"?watch=true", nil)
	if err != nil {
		return err
	}
	answer, err := k.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", answer.Status)
	}
	events := json.NewDecoder(answer.Body)
	for {
		var event struct{}
		if err := events.Decode(&event); err != nil {
			return err
		}
		notify(changed)
	}
}

// notify leaves one notice, however many there were.
func notify(changed chan struct{}) {
	select {
	case changed <- struct{}{}:
	default:
	}
}

type metadata struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace,omitempty"`
	UID               string            `json:"uid,omitempty"`
	Annotations       map[string]string `json:"annotations,omitempty"`
	DeletionTimestamp string            `json:"deletionTimestamp,omitempty"`
}

type claim struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		StorageClassName string   `json:"storageClassName"`
		VolumeName       string   `json:"volumeName"`
		AccessModes      []string `json:"accessModes"`
		Resources        struct {
			Requests map[string]string `json:"requests"`
		} `json:"resources"`
	} `json:"spec"`
	Status struct {
		AllocatedResources        map[string]string `json:"allocatedResources"`
		AllocatedResourceStatuses map[string]string `json:"allocatedResourceStatuses"`
	} `json:"status"`
}

type volume struct {
	Metadata metadata `json:"metadata"`
	Spec     struct {
		Capacity map[string]string `json:"capacity"`
		Local    struct {
			Path string `json:"path"`
		} `json:"local"`
		ReclaimPolicy string `json:"persistentVolumeReclaimPolicy"`
		NodeAffinity  struct {
			Required struct {
				Terms []struct {
					Expressions []struct {
						Values []string `json:"values"`
					} `json:"matchExpressions"`
				} `json:"nodeSelectorTerms"`
			} `json:"required"`
		} `json:"nodeAffinity"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

// node is the one node on which the volume is.
func (v volume) node() string {
	for _, term := range v.Spec.NodeAffinity.Required.Terms {
		for _, expression := range term.Expressions {
			for _, value := range expression.Values {
				return value
			}
		}
	}
	return ""
}

// parseQuantity reads a size as the API server writes it: an integer with a decimal or binary suffix.
func parseQuantity(text string) (int64, error) {
	factors := []struct {
		suffix string
		factor int64
	}{
		{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40},
		{"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}, {"", 1},
	}
	for _, f := range factors {
		if number, found := strings.CutSuffix(text, f.suffix); found {
			value, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%q is no size", text)
			}
			return value * f.factor, nil
		}
	}
	return 0, fmt.Errorf("%q is no size", text)
}
