package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	selectedNode  = "volume.kubernetes.io/selected-node"
	provisionedBy = "pv.kubernetes.io/provisioned-by"
)

type driver struct {
	node, class, provisioner string
	largest                  int64
	kube                     *kube
	volumes                  volumes
}

// pass looks at every claim and volume once and does what is left to do; what fails is done by the next one.
func (d *driver) pass(ctx context.Context) error {
	var claims struct{ Items []claim }
	var existing struct{ Items []volume }
	if err := d.kube.call(ctx, http.MethodGet, claimsPath, "", nil, &claims); err != nil {
		return err
	}
	if err := d.kube.call(ctx, http.MethodGet, volumesPath, "", nil, &existing); err != nil {
		return err
	}
	failures := []error{}
	ours := map[string]volume{}
	for _, v := range existing.Items {
		if v.Metadata.Annotations[provisionedBy] != d.provisioner || v.node() != d.node {
			continue
		}
		if v.Status.Phase == "Released" && v.Spec.ReclaimPolicy == "Delete" {
			failures = append(failures, d.remove(ctx, v))
			continue
		}
		ours[v.Metadata.Name] = v
		failures = append(failures, d.volumes.mount(v.Metadata.Name))
	}
	for _, c := range claims.Items {
		if c.Spec.StorageClassName != d.class || c.Metadata.DeletionTimestamp != "" {
			continue
		}
		if v, found := ours[c.Spec.VolumeName]; found {
			failures = append(failures, d.grow(ctx, c, v))
		} else if c.Spec.VolumeName == "" && c.Metadata.Annotations[selectedNode] == d.node {
			failures = append(failures, d.provision(ctx, c))
		}
	}
	return errors.Join(failures...)
}

// provision makes the volume of a claim whose pod is going to run here. Its name follows from the claim, so a repetition is harmless.
func (d *driver) provision(ctx context.Context, c claim) error {
	name := "pvc-" + c.Metadata.UID
	bytes, err := parseQuantity(c.Spec.Resources.Requests["storage"])
	if err != nil {
		return err
	}
	if bytes > d.largest {
		return fmt.Errorf("claim %s/%s: %d bytes are more than there are", c.Metadata.Namespace, c.Metadata.Name, bytes)
	}
	if err := d.volumes.create(name, bytes); err != nil {
		return err
	}
	if err := d.volumes.mount(name); err != nil {
		return err
	}
	type object = map[string]any
	return d.kube.call(ctx, http.MethodPost, volumesPath, "application/json", object{
		"apiVersion": "v1",
		"kind":       "PersistentVolume",
		"metadata":   object{"name": name, "annotations": object{provisionedBy: d.provisioner}},
		"spec": object{
			"storageClassName":              d.class,
			"capacity":                      object{"storage": c.Spec.Resources.Requests["storage"]},
			"accessModes":                   c.Spec.AccessModes,
			"persistentVolumeReclaimPolicy": "Delete",
			"claimRef": object{
				"apiVersion": "v1", "kind": "PersistentVolumeClaim",
				"namespace": c.Metadata.Namespace, "name": c.Metadata.Name, "uid": c.Metadata.UID,
			},
			"local": object{"path": d.volumes.data(name)},
			"nodeAffinity": object{"required": object{"nodeSelectorTerms": []object{{
				"matchExpressions": []object{{"key": "kubernetes.io/hostname", "operator": "In", "values": []string{d.node}}},
			}}}},
		},
	}, nil, http.StatusConflict)
}

// grow gives a volume the size that its claim asks for and tells the kubelet, which ends the growth by writing the claim's capacity.
func (d *driver) grow(ctx context.Context, c claim, v volume) error {
	wanted := c.Spec.Resources.Requests["storage"]
	bytes, err := parseQuantity(wanted)
	if err != nil {
		return err
	}
	has, err := parseQuantity(v.Spec.Capacity["storage"])
	if err != nil {
		return err
	}
	if bytes <= has {
		return nil
	}
	if bytes > d.largest {
		if c.Status.AllocatedResources["storage"] == wanted {
			return nil
		}
		return d.tell(ctx, c, "ControllerResizeInfeasible",
			condition("ControllerResizeError", fmt.Sprintf("the storage has no room for %s", wanted)))
	}
	if err := d.volumes.grow(v.Metadata.Name, bytes); err != nil {
		return err
	}
	capacity := map[string]any{"spec": map[string]any{"capacity": map[string]string{"storage": wanted}}}
	path := volumesPath + "/" + v.Metadata.Name
	if err := d.kube.call(ctx, http.MethodPatch, path, "application/merge-patch+json", capacity, nil); err != nil {
		return err
	}
	return d.tell(ctx, c, "NodeResizePending",
		condition("FileSystemResizePending", "the volume has grown, the kubelet has yet to see it"),
		map[string]string{"$patch": "delete", "type": "ControllerResizeError"})
}

func condition(kind, message string) map[string]string {
	return map[string]string{
		"type": kind, "status": "True", "message": message, "lastTransitionTime": time.Now().UTC().Format(time.RFC3339),
	}
}

// tell writes how far a growth is, in the fields that Kubernetes' own resizer of CSI volumes writes.
func (d *driver) tell(ctx context.Context, c claim, state string, conditions ...map[string]string) error {
	status := map[string]any{"status": map[string]any{
		"allocatedResources":        c.Spec.Resources.Requests,
		"allocatedResourceStatuses": map[string]string{"storage": state},
		"conditions":                conditions,
	}}
	path := "/api/v1/namespaces/" + c.Metadata.Namespace + "/persistentvolumeclaims/" + c.Metadata.Name + "/status"
	return d.kube.call(ctx, http.MethodPatch, path, "application/strategic-merge-patch+json", status, nil)
}

func (d *driver) remove(ctx context.Context, v volume) error {
	if err := d.volumes.remove(v.Metadata.Name); err != nil {
		return err
	}
	return d.kube.call(ctx, http.MethodDelete, volumesPath+"/"+v.Metadata.Name, "application/json", nil, nil, http.StatusNotFound)
}
