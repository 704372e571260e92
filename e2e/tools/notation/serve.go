package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ocsp"
)

const (
	// ocspPath is below which the responder of each signer is, by name.
	ocspPath = "/ocsp/"
	// ocspFile is what the responder says, in the folder of the signer.
	ocspFile = "answer.ocsp"
	// getLength is the length of a question from which on it is posted (RFC 6960, appendix A.1).
	getLength = 255
)

// serve answers on that port of loopback to whoever asks whether the signers in a folder are revoked.
func serve(folder, port string) error {
	files := http.FileServer(http.Dir(folder))
	return http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		path, isOCSP := strings.CutPrefix(request.RequestURI, ocspPath)
		if !isOCSP {
			files.ServeHTTP(writer, request)
			return
		}
		name, _, _ := strings.Cut(path, "/")
		answer, err := respond(folder, name, request)
		if errors.Is(err, fs.ErrNotExist) {
			// Without a word, the connection ends.
			panic(http.ErrAbortHandler)
		}
		if err != nil {
			log.Println(request.Method, request.RequestURI, err)
			http.Error(writer, err.Error(), http.StatusBadRequest)
			return
		}
		writer.Write(answer)
	}))
}

// respond is what the responder of the signer says, if it is asked about the signer, and in the form that
// is due to the length of the question.
func respond(folder, name string, request *http.Request) ([]byte, error) {
	_, chain, err := readKeys(filepath.Join(folder, name))
	if err != nil {
		return nil, err
	}
	question, err := ocsp.CreateRequest(chain[0], chain[1], nil)
	if err != nil {
		return nil, err
	}
	method, uri, kind, body := http.MethodGet, ocspPath+name+"/"+escaped(question), "", []byte(nil)
	if len(escaped(question)) >= getLength {
		method, uri, kind, body = http.MethodPost, ocspPath+name, "application/ocsp-request", question
	}
	found, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	if request.Method != method || request.RequestURI != uri || request.Header.Get("Content-Type") != kind ||
		!bytes.Equal(found, body) {
		return nil, fmt.Errorf("%s %s was due", method, uri)
	}
	return os.ReadFile(filepath.Join(folder, name, ocspFile))
}

// escaped is a question as a part of a URL.
func escaped(question []byte) string {
	return url.QueryEscape(base64.StdEncoding.EncodeToString(question))
}
